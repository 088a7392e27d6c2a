// The plain page's one live line: whether the server is ready, asked every five seconds.
const root = new URL("../", document.currentScript.src);
const status = document.getElementById("status");

async function ask() {
  try {
    const response = await fetch(new URL("-/ready", root));
    status.textContent = response.ok ? "The server is ready." : `The server is not ready yet (${response.status}).`;
  } catch {
    status.textContent = "The server does not answer.";
  }
}

ask();
setInterval(ask, 5000);
