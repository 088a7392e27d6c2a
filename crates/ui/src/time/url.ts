/**
 * A time range in the query part of a URL, and back: `range=15m`, or `from=…&to=…` in ISO 8601 UTC; `live=off`; `tz=utc`.
 *
 * What is the default is left out, so the plainest view has the plainest address. What cannot be read is the default.
 */
import type { Zone } from "./moment";
import { between, DEFAULT_RANGE, durationCode, last, parseDuration, type TimeRange } from "./range";

export interface TimeView {
  range: TimeRange;
  /** Whether new samples are wanted; only a relative range can be live. */
  live: boolean;
  zone: Zone;
}

export function readTime(params: URLSearchParams): TimeView {
  return {
    range: readRange(params),
    live: params.get("live") !== "off",
    zone: params.get("tz") === "utc" ? "utc" : "local",
  };
}

function readRange(params: URLSearchParams): TimeRange {
  const from = Date.parse(params.get("from") ?? "") / 1000;
  const to = Date.parse(params.get("to") ?? "") / 1000;
  const seconds = parseDuration(params.get("range") ?? "");
  return between(from, to) ?? (seconds === null ? null : last(seconds)) ?? DEFAULT_RANGE;
}

/** The parameters that say `range`; `null` removes a parameter. */
export function writeRange(range: TimeRange): Record<"range" | "from" | "to", string | null> {
  if (range.kind === "between") return { range: null, from: iso(range.from), to: iso(range.to) };
  const is_default = DEFAULT_RANGE.kind === "last" && range.seconds === DEFAULT_RANGE.seconds;
  return { range: is_default ? null : durationCode(range.seconds), from: null, to: null };
}

/** ISO 8601, without a fraction when there is none. */
export function iso(seconds: number): string {
  return new Date(Math.round(seconds * 1000)).toISOString().replace(".000Z", "Z");
}
