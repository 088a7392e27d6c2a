// Runs before the first paint, so that a chosen theme never flashes in the other one.
(function () {
  try {
    var chosen = localStorage.getItem("barograph.theme");
    if (chosen === "day" || chosen === "night") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage may be forbidden: then the system's theme holds.
  }
})();
