/**
 * A question that the live stream does not carry (a JSON document, another time, another version): asked over the page's window,
 * and again at a distance while that moves. A failure keeps the last answer.
 */
import { ApiError, isAbort, type Provenance } from "../../api/client";
import { feed } from "../../panels/current";
import { align, type Span } from "../../time/range";

/** The page's window of time; `to` is `null` while it follows now. */
export interface Window {
  seconds: number;
  to: number | null;
  step: number;
}

export interface Filled<T> {
  data: T;
  notes: readonly string[];
  provenance: Provenance | null;
}

export class Asking<T> {
  data = $state.raw<T | null>(null);
  loading = $state(true);
  error = $state.raw<ApiError | null>(null);
  notes = $state.raw<readonly string[]>([]);
  provenance = $state.raw<Provenance | null>(null);
  #stop = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Asks at once. `every` is the distance in seconds while the window follows now; `null` asks once. */
  constructor(
    readonly ask: (span: Span, signal: AbortSignal) => Promise<Filled<T>>,
    readonly window: Window,
    readonly every: number | null,
  ) {
    void this.#go();
  }

  close(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  async #go(): Promise<void> {
    const { signal } = this.#stop;
    try {
      const { data, notes, provenance } = await this.ask(spanOf(this.window), signal);
      if (signal.aborted) return;
      this.data = data;
      this.notes = notes;
      this.provenance = provenance;
      this.error = null;
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      this.error = error instanceof ApiError ? error : new ApiError("failed", String(error));
    }
    this.loading = false;
    if (this.every !== null && this.window.to === null) this.#timer = setTimeout(() => void this.#go(), this.every * 1000);
  }
}

/** The window as it lies now, on whole steps. */
export function spanOf({ seconds, to, step }: Window): Span {
  const end = to ?? Date.now() / 1000 + feed.skew;
  return align({ from: end - seconds, to: end }, step);
}
