/** Tells when an element comes near the screen and when it leaves it, so that only what is seen asks for data. */
export function whenVisible(onchange: (visible: boolean) => void): (element: Element) => () => void {
  return (element) => {
    const observer = new IntersectionObserver((entries) => onchange(entries.at(-1)?.isIntersecting ?? false), { rootMargin: "160px" });
    observer.observe(element);
    return () => {
      observer.disconnect();
      onchange(false);
    };
  };
}
