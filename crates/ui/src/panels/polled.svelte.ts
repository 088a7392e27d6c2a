/**
 * A document of the server that is asked for again and again while a page shows it. What is there stays until a newer arrives.
 *
 * How often depends on what it costs: asking takes at most a twentieth of the time, so a list of thousands on a slow line
 * comes less often than a handful. A server that does not answer is told by the banner, as for a lost stream.
 */
import { ApiError, isAbort } from "../api/client";
import { polls } from "./current";

const EVERY_MS = 10_000;
/** Waits are at least this many times as long as the answer took. */
const WAIT_SHARE = 20;

export class Polled<T> {
  document = $state.raw<T | null>(null);
  error = $state.raw<ApiError | null>(null);
  #ask: (signal: AbortSignal) => Promise<T>;
  #under_way: AbortController | null = null;

  constructor(
    ask: (signal: AbortSignal) => Promise<T>,
    private readonly every_ms = EVERY_MS,
  ) {
    this.#ask = ask;
  }

  /** Asks now. A request that is still under way gives way. */
  refresh = async (): Promise<void> => {
    this.#under_way?.abort();
    const mine = (this.#under_way = new AbortController());
    try {
      this.document = await this.#ask(mine.signal);
      this.error = null;
      polls.answered();
    } catch (error) {
      if (isAbort(error)) return;
      this.error = error instanceof ApiError ? error : new ApiError("failed", String(error));
      if (this.error.kind === "unreachable") polls.lost(this.error.message);
    }
  };

  /** Asks now and, if `live`, again and again while the page can be seen: every ten seconds unless told otherwise. Returns how to stop. */
  follow(live: boolean): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stopped = false;
    const turn = async (): Promise<void> => {
      const began = performance.now();
      if (!document.hidden) await this.refresh();
      const wait = Math.max(this.every_ms, WAIT_SHARE * (performance.now() - began));
      if (live && !stopped) timer = setTimeout(() => void turn(), wait);
    };
    polls.joined();
    void turn();
    return () => {
      stopped = true;
      clearTimeout(timer);
      this.#under_way?.abort();
      polls.left();
    };
  }
}
