/**
 * The time range of a page: relative to now, or between two moments.
 *
 * Times are Unix seconds; nothing here reads a clock. What people type is read by `typed.ts`.
 */
export type TimeRange = { kind: "last"; seconds: number } | { kind: "between"; from: number; to: number };

/** A resolved range: both ends known. */
export interface Span {
  from: number;
  to: number;
}

/** The ranges one click away. */
export const QUICK_RANGES = [300, 900, 3600, 3 * 3600, 6 * 3600, 86_400, 2 * 86_400, 7 * 86_400, 30 * 86_400];

export const DEFAULT_RANGE: TimeRange = { kind: "last", seconds: 300 };

/** Shortest range a page shows: below it a chart has no two points. */
const SECONDS_MIN = 5;
/** Longest range a page shows: ten years. */
const SECONDS_MAX = 10 * 366 * 86_400;

const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 7 * 86_400, y: 365 * 86_400 };

const UNIT_WORDS: [RegExp, string][] = [
  [/^(s|secs?|seconds?)$/, "s"],
  [/^(m|mins?|minutes?)$/, "m"],
  [/^(h|hrs?|hours?)$/, "h"],
  [/^(d|days?)$/, "d"],
  [/^(w|weeks?)$/, "w"],
  [/^(y|years?)$/, "y"],
];

/** `1h30m`, `90 s`, `2 days` in seconds. */
export function parseDuration(text: string): number | null {
  const parts = [...text.toLowerCase().matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)/g)];
  if (parts.length === 0 || text.toLowerCase().replace(/(\d+(?:\.\d+)?)\s*([a-z]+)/g, "").trim() !== "") return null;
  let seconds = 0;
  for (const [, amount, word] of parts) {
    const unit = UNIT_WORDS.find(([pattern]) => pattern.test(word ?? ""))?.[1];
    if (unit === undefined) return null;
    seconds += Number(amount) * (UNIT_SECONDS[unit] ?? 0);
  }
  return seconds;
}

/** The shortest exact spelling: 5400 is `1h30m`. The inverse of `parseDuration` for whole seconds. */
export function durationCode(seconds: number): string {
  let rest = Math.round(seconds);
  let text = "";
  for (const unit of ["d", "h", "m", "s"]) {
    const size = UNIT_SECONDS[unit] ?? 1;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text === "" ? "0s" : text;
}

/** A checked relative range. */
export function last(seconds: number): TimeRange | null {
  return seconds >= SECONDS_MIN && seconds <= SECONDS_MAX ? { kind: "last", seconds } : null;
}

/** A checked absolute range; the ends may come in either order. */
export function between(a: number, b: number): TimeRange | null {
  const [from, to] = a <= b ? [a, b] : [b, a];
  if (!Number.isFinite(from) || !Number.isFinite(to) || to - from < 1 || to - from > SECONDS_MAX) return null;
  return { kind: "between", from, to };
}

export function resolve(range: TimeRange, now: number): Span {
  return range.kind === "last" ? { from: now - range.seconds, to: now } : { from: range.from, to: range.to };
}

/** The span moved by half its width; a range that would start in the future stays. */
export function shift(range: TimeRange, direction: -1 | 1, now: number): TimeRange {
  const { from, to } = resolve(range, now);
  const move = (direction * (to - from)) / 2;
  if (to + move >= now) return { kind: "last", seconds: Math.round(to - from) };
  return { kind: "between", from: Math.round(from + move), to: Math.round(to + move) };
}

/** The span made `factor` times as wide about its middle (about its end while it follows now). */
export function scale(range: TimeRange, factor: number, now: number): TimeRange {
  if (range.kind === "last") return last(Math.round(range.seconds * factor)) ?? range;
  const middle = (range.from + range.to) / 2;
  const half = ((range.to - range.from) * factor) / 2;
  return between(Math.round(middle - half), Math.min(Math.round(middle + half), Math.round(now))) ?? range;
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/** The smallest round step that keeps the span within `points_max` points. */
export function stepFor(seconds: number, points_max: number): number {
  return STEPS.find((step) => seconds / step <= points_max) ?? Math.ceil(seconds / points_max / 86_400) * 86_400;
}

/** Both ends moved down onto multiples of the step, so that every query of a page, and every live event, shares its times. */
export function align(span: Span, step: number): Span {
  return { from: Math.floor(span.from / step) * step, to: Math.floor(span.to / step) * step };
}

/** A range as a heading: `Last 15 minutes`. Absolute ranges are written by `moment.ts`, which knows the zone. */
export function lastName(seconds: number): string {
  for (const [size, word] of [[86_400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]] as const) {
    if (seconds % size === 0) {
      const count = seconds / size;
      return count === 1 ? `Last ${word}` : `Last ${count} ${word}s`;
    }
  }
  return `Last ${durationCode(seconds)}`;
}
