/** A document of the server that is asked for again and again while a page shows it. What is there stays until a newer arrives. */
import { ApiError, isAbort } from "../../api/client";

const EVERY_MS = 10_000;

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
    } catch (error) {
      if (!isAbort(error)) this.error = error instanceof ApiError ? error : new ApiError("failed", String(error));
    }
  };

  /** Asks now and, if `live`, again and again while the page can be seen: every ten seconds unless told otherwise. Returns how to stop. */
  follow(live: boolean): () => void {
    void this.refresh();
    const timer = live ? setInterval(() => void (document.hidden || this.refresh()), this.every_ms) : undefined;
    return () => (clearInterval(timer), this.#under_way?.abort());
  }
}
