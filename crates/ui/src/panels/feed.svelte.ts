/**
 * The data of a page: each expression that a visible panel wants, filled once by range and kept up by one live stream.
 *
 * Expressions are shared: two panels that ask the same share one answer. What nobody sees is not asked. A newer range cancels
 * the older one's requests; old data stays, marked as such, until the new arrives. After a lost connection the stream resumes
 * where it broke off, or, when that is too long ago, everything is filled again.
 */
import { untrack } from "svelte";
import { SvelteMap } from "svelte/reactivity";
import { ApiError, isAbort, type Provenance } from "../api/client";
import { follow, LIVE_STEP_MAX, RESUME_STEPS_MAX } from "../api/live";
import { queryRange } from "../api/query";
import { numberOf, type LivePoints } from "../api/types";
import { frameOf, LINES_MAX, withPoints, type Frame } from "../charts/frame";
import { align, type Span } from "../time/range";
import { REGAINED_MS, type Connection } from "./connection.svelte";

/** What the feed is asked to show. */
export interface Window {
  span: Span;
  step: number;
  live: boolean;
}

/** One expression's data. */
export class Entry {
  frame = $state.raw<Frame | null>(null);
  /** A newer answer is on its way; `frame` is of the window before. */
  loading = $state(true);
  error = $state.raw<ApiError | null>(null);
  notes = $state.raw<string[]>([]);
  provenance = $state.raw<Provenance | null>(null);
  /** Panels on screen that show this. */
  uses = $state(0);
  readonly shown = $derived(this.uses > 0);
  /** The window that `frame` belongs to. */
  filled: Window | null = null;
  /** The range request under way. */
  pending: { window: Window; done: Promise<void> } | null = null;
}

/** The panels of one scroll join or leave the stream together. */
const SETTLE_MS = 60;
/** Entries that nobody shows any more, kept for the way back. */
const ENTRIES_MAX = 200;
/** Clock differences to the server below this are noise. */
const SKEW_SECONDS_MIN = 2;

export class Feed {
  connection = $state.raw<Connection>({ state: "off" });
  version = $state("");
  /** The newest moment shown: the right edge of the charts. */
  edge = $state(0);
  /** The server's clock less ours, seconds. */
  skew = $state(0);

  /** Whether everything on screen has answered, and all of it with nothing. */
  readonly is_empty = $derived.by(() => {
    const shown = [...this.#entries.values()].filter((entry) => entry.shown);
    return shown.length > 0 && shown.every((entry) => !entry.loading && entry.error === null && entry.frame?.lines.length === 0);
  });

  #entries = new SvelteMap<string, Entry>();
  #window: Window | null = null;
  #fill = new AbortController();
  #stream = new AbortController();
  #settle: ReturnType<typeof setTimeout> | undefined;
  #regained: ReturnType<typeof setTimeout> | undefined;
  #suspended = false;

  /** The entry of an expression, for as long as `leave` is not called. */
  join(expression: string): Entry {
    return untrack(() => {
      const entry = this.#entries.get(expression) ?? new Entry();
      this.#entries.set(expression, entry);
      entry.uses += 1;
      this.#changed();
      return entry;
    });
  }

  leave(expression: string): void {
    untrack(() => {
      const entry = this.#entries.get(expression);
      if (entry === undefined) return;
      entry.uses -= 1;
      if (this.#entries.size > ENTRIES_MAX && entry.uses === 0) this.#entries.delete(expression);
      this.#changed();
    });
  }

  /** Shows another window of time. */
  show(window: Window): void {
    untrack(() => {
      const span = align(window.span, window.step);
      this.#window = { ...window, span, live: window.live && window.step <= LIVE_STEP_MAX };
      this.edge = span.to;
      this.#fill.abort();
      this.#fill = new AbortController();
      for (const entry of this.#entries.values()) entry.loading = true;
      this.#changed();
    });
  }

  /** Asks again for everything on screen. */
  refresh(): void {
    for (const entry of this.#entries.values()) entry.filled = null;
    this.#changed();
  }

  /** Asks again for what failed. */
  retry(): void {
    for (const entry of this.#entries.values()) if (entry.error !== null) entry.filled = null;
    this.#changed();
  }

  /** Stops the stream while nobody looks (a hidden tab holds one of few connections), and catches up afterwards. */
  suspend(hidden: boolean): void {
    if (this.#suspended === hidden) return;
    this.#suspended = hidden;
    if (hidden) this.#stream.abort();
    else this.#changed();
  }

  close(): void {
    clearTimeout(this.#settle);
    clearTimeout(this.#regained);
    this.#fill.abort();
    this.#stream.abort();
  }

  #changed(): void {
    clearTimeout(this.#settle);
    this.#settle = setTimeout(() => void this.#run(), this.#window?.live === true && this.connection.state === "live" ? SETTLE_MS : 0);
  }

  async #run(): Promise<void> {
    const window = this.#window;
    if (window === null || this.#suspended) return;
    this.#stream.abort();
    const stream = (this.#stream = new AbortController());
    const fill = this.#fill;
    const wanted = [...this.#entries].filter(([, entry]) => entry.uses > 0);
    if (wanted.length === 0) {
      this.connection = { state: "off" };
      return;
    }
    if (window.live) this.#catchUp(window);
    const stale = wanted.filter(([, entry]) => !this.#isFilled(entry, window));
    await Promise.all(stale.map(([expression, entry]) => this.#fillOnce(expression, entry, window, fill.signal)));
    if (fill.signal.aborted || stream.signal.aborted) return;
    if (!window.live) {
      this.connection = { state: "off" };
      return;
    }
    this.#follow(window, wanted, stream.signal);
  }

  /** Moves the window's end to now, so that what is filled next joins the stream without a gap. */
  #catchUp(window: Window): void {
    const width = window.span.to - window.span.from;
    const now = Math.floor((Date.now() / 1000 + this.skew) / window.step) * window.step;
    window.span = { from: now - width, to: now };
    this.edge = Math.max(this.edge, now);
  }

  /** Whether the entry's frame is of this window, and close enough to now for the stream to carry it on. */
  #isFilled(entry: Entry, window: Window): boolean {
    if (entry.filled !== window || entry.frame === null) return false;
    if (!window.live) return true;
    const newest = entry.frame.times.at(-1) ?? 0;
    return (window.span.to - newest) / window.step <= RESUME_STEPS_MAX / 2;
  }

  /** Joins the request that is already under way for the same window. */
  #fillOnce(expression: string, entry: Entry, window: Window, signal: AbortSignal): Promise<void> {
    if (entry.pending?.window === window) return entry.pending.done;
    const done = this.#fillOne(expression, entry, window, signal).finally(() => {
      if (entry.pending?.done === done) entry.pending = null;
    });
    entry.pending = { window, done };
    return done;
  }

  async #fillOne(expression: string, entry: Entry, window: Window, signal: AbortSignal): Promise<void> {
    const { span, step } = window;
    try {
      const { data, notes, provenance } = await queryRange({ query: expression, start: span.from, end: span.to, step, limit: LINES_MAX }, signal);
      entry.frame = frameOf(data, span.from, span.to, step);
      entry.notes = notes;
      entry.provenance = provenance;
      entry.error = null;
      entry.filled = window;
      entry.loading = false;
    } catch (error) {
      if (isAbort(error)) return;
      entry.error = error instanceof ApiError ? error : new ApiError("failed", String(error));
      entry.filled = entry.error.kind === "refused" ? window : null;
      entry.loading = false;
    }
  }

  #follow(window: Window, wanted: [string, Entry][], signal: AbortSignal): void {
    // An answer cut off at the limit may have any number of series: each step would carry them all.
    const streamed = wanted.filter(([, entry]) => (entry.frame?.lines.length ?? 0) < LINES_MAX && entry.error?.kind !== "refused");
    if (streamed.length === 0) {
      this.connection = { state: "off" };
      return;
    }
    const after = Math.min(...streamed.map(([, entry]) => entry.frame?.times.at(-1) ?? window.span.to));
    if (this.connection.state === "off") this.connection = { state: "joining" };
    const request = { queries: streamed.map(([expression]) => expression), step: window.step, after };
    void follow(
      request,
      {
        hello: ({ now, version }) => this.#hello(now, version, streamed, window),
        points: (points) => this.#points(points, streamed, window),
        lost: (reason) => {
          if (this.connection.state !== "lost") this.connection = { state: "lost", since: Date.now(), reason };
        },
      },
      signal,
    );
  }

  #hello(now: number, version: string, streamed: [string, Entry][], window: Window): void {
    this.version = version;
    const lost = this.connection.state === "lost" ? this.connection : null;
    if (lost === null) this.connection = { state: "live" };
    else {
      this.connection = { state: "regained" };
      clearTimeout(this.#regained);
      this.#regained = setTimeout(() => {
        if (this.connection.state === "regained") this.connection = { state: "live" };
      }, REGAINED_MS);
    }
    const skew = now - Date.now() / 1000;
    const skewed = Math.abs(skew - this.skew) > Math.max(SKEW_SECONDS_MIN, window.step);
    if (skewed) this.skew = skew;
    const too_old = lost !== null && (Date.now() - lost.since) / 1000 / window.step > RESUME_STEPS_MAX;
    const failed = lost !== null && streamed.some(([, entry]) => entry.error !== null);
    if (skewed || too_old) for (const [, entry] of streamed) entry.filled = null;
    if (skewed || too_old || failed) this.retry();
  }

  #points(points: LivePoints, streamed: [string, Entry][], window: Window): void {
    const width = window.span.to - window.span.from;
    streamed.forEach(([, entry], index) => {
      const result = points.results[index];
      if (result === undefined || entry.frame === null) return;
      if ("error" in result) {
        entry.error = new ApiError("refused", result.error);
        return;
      }
      entry.error = null;
      const fresh = result.map(({ metric, value }) => ({ labels: metric, value: numberOf(value) }));
      entry.frame = withPoints(entry.frame, points.time, fresh, points.time - width);
    });
    this.edge = Math.max(this.edge, points.time);
  }
}
