/**
 * The live stream: the answers of several queries at each step, as the server computes them.
 *
 * A lost connection is tried again, at first at once, then ever more slowly, and resumes after the last moment that arrived,
 * so that no step is missed. Silence for longer than the stream should be silent counts as lost.
 */
import { ROOT } from "../base";
import { ApiError, encode, isAbort, send } from "./client";
import { EventReader, type ServerEvent } from "./sse";
import type { Hello, LivePoints } from "./types";

export interface LiveRequest {
  queries: readonly string[];
  /** Seconds between two events. */
  step: number;
  /** The last moment already known, Unix seconds: the stream starts after it. */
  after: number;
}

export interface LiveHandlers {
  hello(hello: Hello): void;
  points(points: LivePoints): void;
  lost(reason: string): void;
}

/** Longest distance between two events that the server streams, seconds. */
export const LIVE_STEP_MAX = 3600;

/** The server sends at most this many missed steps; a longer gap is asked for by range. */
export const RESUME_STEPS_MAX = 600;

const WAITS_MS = [100, 500, 1000, 2000, 4000];
const SILENCE_MS_MIN = 10_000;

/** Runs until the signal aborts. Never throws. */
export async function follow(request: LiveRequest, handlers: LiveHandlers, signal: AbortSignal): Promise<void> {
  let after = request.after;
  let failures = 0;
  while (!signal.aborted) {
    try {
      await readStream({ ...request, after }, {
        ...handlers,
        hello: (hello) => {
          failures = 0;
          handlers.hello(hello);
        },
        points: (points) => {
          after = Math.max(after, points.time);
          handlers.points(points);
        },
      }, signal);
    } catch (error) {
      if (signal.aborted) return;
      handlers.lost(error instanceof Error ? error.message : String(error));
    }
    await waitAfter(failures, signal);
    failures += 1;
  }
}

/** One connection. Ends by throwing: a stream has no end of its own. */
function readStream(request: LiveRequest, handlers: LiveHandlers, signal: AbortSignal): Promise<never> {
  const url = new URL("api/barograph/v1/live", ROOT);
  url.search = encode({ query: request.queries, step: `${request.step}s` }).toString();
  const resume = String(Math.round(request.after * 1000));
  const take = ({ name, data }: ServerEvent): void => {
    if (name === "hello") handlers.hello(JSON.parse(data) as Hello);
    if (name === "points") handlers.points(JSON.parse(data) as LivePoints);
  };
  return readEvents({ url, resume, silence_ms: Math.max(SILENCE_MS_MIN, request.step * 2500) }, take, signal);
}

export interface EventSource {
  url: URL;
  /** The id after which events are wanted. */
  resume?: string;
  /** A connection that says nothing for longer is dead. */
  silence_ms: number;
}

/** Reads the events of one connection until it breaks, and then throws. */
export async function readEvents(source: EventSource, take: (event: ServerEvent) => void, signal: AbortSignal): Promise<never> {
  const guard = new AbortController();
  const stop = (): void => guard.abort();
  signal.addEventListener("abort", stop, { once: true });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const rearm = (): void => {
    clearTimeout(timer);
    timer = setTimeout(stop, source.silence_ms);
  };
  try {
    rearm();
    const response = await send(source.url, {
      headers: { Accept: "text/event-stream", ...(source.resume !== undefined && { "Last-Event-ID": source.resume }) },
      cache: "no-store",
      signal: guard.signal,
    });
    if (!response.ok || response.body === null) throw new ApiError("failed", `the live stream answered ${response.status}`, null, response.status);
    const body = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const events = new EventReader();
    for (;;) {
      const { done, value } = await body.read();
      if (done) throw new ApiError("unreachable", "the live stream ended");
      rearm();
      for (const event of events.push(value)) take(event);
    }
  } catch (error) {
    if (isAbort(error) && !signal.aborted) throw new ApiError("unreachable", "the live stream fell silent");
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    guard.abort();
  }
}

/** Waits longer the more attempts failed; leaves nothing on the signal, which may outlive any number of attempts. */
export function waitAfter(failures: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const over = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", over);
      done();
    };
    const timer = setTimeout(over, WAITS_MS[Math.min(failures, WAITS_MS.length - 1)] ?? 0);
    signal.addEventListener("abort", over);
  });
}
