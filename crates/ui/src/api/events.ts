/** What the server tells of itself on its buses, as it happens. */
import { ApiError, encode } from "./client";
import { readEvents, waitAfter } from "./live";
import { ownUrl } from "./own";
import type { ServerEvent } from "./sse";

export interface Topics {
  bus: "metrics" | "health" | "alerts" | "diagnostics" | "user";
  /** None is all of the bus. */
  topics: readonly string[];
}

/** The server says at least that it has nothing to say every fifteen seconds. */
const SILENCE_MS = 40_000;

/**
 * Runs until the signal aborts, or the server says that it has no such events. `is_up` says whether events arrive now: what
 * was told before they did is to be asked for. Never throws.
 */
export async function listen({ bus, topics }: Topics, take: (event: ServerEvent) => void, is_up: (up: boolean) => void, signal: AbortSignal): Promise<void> {
  const url = ownUrl("live");
  url.search = encode({ bus, ...(topics.length > 0 && { topics: topics.join(",") }) }).toString();
  let failures = 0;
  const taken = (event: ServerEvent): void => {
    failures = 0;
    // Both mean that what is known may be old: the stream begins here, or left something out.
    if (event.name === "hello" || event.name === "missed") is_up(true);
    else take(event);
  };
  while (!signal.aborted) {
    try {
      await readEvents({ url, silence_ms: SILENCE_MS }, taken, signal);
    } catch (error) {
      if (signal.aborted) return;
      is_up(false);
      const status = error instanceof ApiError ? error.status : null;
      if (status !== null && status < 500) return;
    }
    await waitAfter(failures, signal);
    failures += 1;
  }
}
