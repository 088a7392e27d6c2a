/**
 * A document of the server that is asked for again and again while a page shows it. What is there stays until a newer arrives.
 *
 * How often depends on what it costs: asking takes at most a twentieth of the time, so a list of thousands on a slow line
 * comes less often than a handful. Where the server tells changes as events, these are taken in as they come, and asking is
 * only for what they may have left out. A server that does not answer is told by the banner, as for a lost stream.
 */
import { untrack } from "svelte";
import { ApiError, isAbort } from "../api/client";
import { listen, type Topics } from "../api/events";
import type { ServerEvent } from "../api/sse";
import { polls } from "./current";

const EVERY_MS = 10_000;
/** While events arrive, and where there is nothing to ask for. */
const RARELY_MS = 60_000;
/** Waits are at least this many times as long as the answer took. */
const WAIT_SHARE = 20;

/** Events that change the document. */
export interface Told<T> extends Topics {
  /** The document after the event; never changes the one it is given. */
  take: (document: T, event: ServerEvent) => T;
}

export class Polled<T> {
  document = $state.raw<T | null>(null);
  error = $state.raw<ApiError | null>(null);
  #ask: (signal: AbortSignal) => Promise<T>;
  #under_way: AbortController | null = null;

  constructor(
    ask: (signal: AbortSignal) => Promise<T>,
    private readonly every_ms = EVERY_MS,
    private readonly told?: Told<T>,
  ) {
    this.#ask = ask;
  }

  /** Asks now. A request that is still under way gives way. */
  refresh = async (): Promise<void> => {
    this.#under_way?.abort();
    const mine = (this.#under_way = new AbortController());
    try {
      // Whoever follows says itself what makes it ask anew.
      this.document = await untrack(() => this.#ask(mine.signal));
      this.error = null;
      polls.answered();
    } catch (error) {
      if (isAbort(error)) return;
      this.error = error instanceof ApiError ? error : new ApiError("failed", String(error));
      if (this.error.kind === "unreachable") polls.lost(this.error.message);
      else polls.answered();
    }
  };

  /** Asks now and, if `live`, again and again while the page can be seen: every ten seconds unless told otherwise. Returns how to stop. */
  follow(live: boolean): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stream = new AbortController();
    let stopped = false;
    let is_told = false;

    const turn = async (): Promise<void> => {
      clearTimeout(timer);
      const began = performance.now();
      await this.refresh();
      if (!live || stopped || document.hidden) return;
      const usual = is_told || this.error?.status === 404 ? Math.max(RARELY_MS, this.every_ms) : this.every_ms;
      clearTimeout(timer);
      timer = setTimeout(() => void turn(), Math.max(usual, WAIT_SHARE * (performance.now() - began)));
    };
    const told = this.told;
    const take = (event: ServerEvent): void => {
      if (told !== undefined && this.document !== null) this.document = told.take(this.document, event);
    };
    const join = (): void => {
      if (!live || told === undefined) return;
      stream = new AbortController();
      const up = (is_up: boolean): void => {
        const was = is_told;
        is_told = is_up;
        if (is_up || was) void turn();
      };
      void listen(told, take, up, stream.signal);
    };
    // Who does not look holds none of the few connections.
    const leave = (): void => {
      clearTimeout(timer);
      stream.abort();
      is_told = false;
    };
    const seen = (): void => {
      leave();
      if (document.hidden) return;
      void turn();
      join();
    };

    polls.joined();
    void turn();
    join();
    if (live) document.addEventListener("visibilitychange", seen);
    return () => {
      stopped = true;
      leave();
      document.removeEventListener("visibilitychange", seen);
      this.#under_way?.abort();
      polls.left();
    };
  }
}
