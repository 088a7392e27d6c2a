/** Links to pages of ours: a plain press on one opens the page in place, without loading everything anew. */
import { BASE } from "../base";

/** Where such a press leads; `null` where the browser does what is right: another tab, a file, another place. */
export function pageOf(event: MouseEvent): URL | null {
  if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return null;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (link === null || link.href === "" || link.target !== "" || link.hasAttribute("download")) return null;
  const url = new URL(link.href);
  return url.origin === BASE.origin && url.pathname.startsWith(BASE.pathname) && url.hash === "" ? url : null;
}
