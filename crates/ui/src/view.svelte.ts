/**
 * What is being looked at. The URL is the only copy: everything here is read from it, and changing the view changes the URL,
 * so that a copied link shows the same and the back button goes back.
 */
import { BASE } from "./base";
import { readTime, writeRange } from "./time/url";
import type { TimeRange } from "./time/range";

export type Patch = Readonly<Record<string, string | null>>;

/** Parameters that stay when another page is opened. */
const SHARED = ["range", "from", "to", "live", "tz"];

class View {
  #url = $state.raw(new URL(location.href));
  readonly params = $derived(this.#url.searchParams);
  /** Path below the base, without slashes around it. */
  readonly path = $derived(this.#url.pathname.slice(BASE.pathname.length).replace(/\/$/, ""));
  readonly time = $derived(readTime(this.#url.searchParams));
  readonly live = $derived(this.time.live && this.time.range.kind === "last");

  constructor() {
    addEventListener("popstate", () => (this.#url = new URL(location.href)));
  }

  /** The address of a page with this view's time, and the given parameters. */
  href(path: string, params: Patch = {}): string {
    const url = new URL(path, BASE);
    for (const name of SHARED) {
      const value = this.params.get(name);
      if (value !== null) url.searchParams.set(name, value);
    }
    return patched(url, params).href;
  }

  open(path: string, params: Patch = {}): void {
    this.follow(new URL(this.href(path, params)));
  }

  /** Opens the page of an address below the base, from its top. */
  follow(url: URL): void {
    this.#go(url, "push");
    scrollTo(0, 0);
  }

  /** Changes parameters of this page. `replace` is for what nobody wants to step back through. */
  change(params: Patch, how: "push" | "replace" = "push"): void {
    this.#go(patched(new URL(this.#url), params), how);
  }

  /** The same view at the page's own address: for another name of it. */
  lead(path: string): void {
    const url = new URL(path, BASE);
    url.search = this.#url.search;
    this.#go(url, "replace");
  }

  /** Another page in place of this one: for an address that is none of ours. */
  become(path: string, params: Patch): void {
    this.#go(patched(new URL(path, BASE), params), "replace");
  }

  /** Sets all parameters of this page at once: for what has an order, or comes more than once. */
  write(params: URLSearchParams, how: "push" | "replace" = "push"): void {
    const url = new URL(this.#url);
    url.search = params.toString();
    this.#go(url, how);
  }

  setRange(range: TimeRange): void {
    this.change({ ...writeRange(range), live: null });
  }

  /** A range chosen on a chart: a double click there steps back over it. */
  zoom(range: TimeRange): void {
    this.setRange(range);
    history.replaceState({ zoomed: true }, "");
  }

  /** Back over the last zoom; without one, back to the default range. */
  zoomBack(): void {
    const state: unknown = history.state;
    if (typeof state === "object" && state !== null && "zoomed" in state) history.back();
    else if (this.time.range.kind === "between") this.change({ range: null, from: null, to: null });
  }

  #go(url: URL, how: "push" | "replace"): void {
    if (url.href === this.#url.href) return;
    if (how === "push") history.pushState(null, "", url);
    else history.replaceState(history.state, "", url);
    this.#url = url;
  }
}

function patched(url: URL, params: Patch): URL {
  for (const [name, value] of Object.entries(params)) {
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  return url;
}

export const view = new View();
