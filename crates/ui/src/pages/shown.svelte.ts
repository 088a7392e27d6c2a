/** The window of time that a page's charts show: that of the header, in steps as wide as a third of a page can tell apart. */
import { feed } from "../panels/current";
import { resolve, stepFor } from "../time/range";
import { view } from "../view.svelte";

const POINTS_MAX = 900;

/** Made while a component is; for as long as that is there, the feed fills this window. */
export class Shown {
  readonly #range = $derived(view.time.range);
  readonly #seconds = $derived(this.#range.kind === "last" ? this.#range.seconds : this.#range.to - this.#range.from);
  readonly step = $derived(stepFor(this.#seconds, POINTS_MAX));
  readonly to = $derived(this.#range.kind === "between" ? this.#range.to : feed.edge);
  readonly from = $derived(this.to - this.#seconds);

  constructor() {
    $effect(() => feed.show({ span: resolve(this.#range, Date.now() / 1000 + feed.skew), step: this.step, live: view.live }));
  }
}
