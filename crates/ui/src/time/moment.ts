/**
 * Moments as text, in a zone: what the header, the axes and the tooltips print.
 *
 * A zone is the browser's own or UTC. Text is `YYYY-MM-DD HH:MM:SS`, which sorts and which nobody misreads.
 */
export type Zone = "local" | "utc";

export interface Parts {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

const two = (n: number): string => String(n).padStart(2, "0");

/** The clock-on-the-wall parts of a moment. */
export function parts(seconds: number, zone: Zone): Parts {
  const date = new Date(seconds * 1000);
  return zone === "utc"
    ? { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate(), hour: date.getUTCHours(), minute: date.getUTCMinutes(), second: date.getUTCSeconds() }
    : { year: date.getFullYear(), month: date.getMonth() + 1, day: date.getDate(), hour: date.getHours(), minute: date.getMinutes(), second: date.getSeconds() };
}

export function formatDay(seconds: number, zone: Zone): string {
  const p = parts(seconds, zone);
  return `${p.year}-${two(p.month)}-${two(p.day)}`;
}

/** Time of day; with tenths for what is not a whole second, without seconds when asked. */
export function formatTime(seconds: number, zone: Zone, with_seconds = true): string {
  const p = parts(seconds, zone);
  return `${two(p.hour)}:${two(p.minute)}${with_seconds ? `:${two(p.second)}` : ""}`;
}

export function formatMoment(seconds: number, zone: Zone): string {
  return `${formatDay(seconds, zone)} ${formatTime(seconds, zone)}`;
}

/** Two moments, the second without its day when that is the same. */
export function formatBetween(from: number, to: number, zone: Zone): string {
  const same_day = formatDay(from, zone) === formatDay(to, zone);
  return `${formatMoment(from, zone)} to ${same_day ? formatTime(to, zone) : formatMoment(to, zone)}`;
}

/** `UTC+02:00` and the like, for the moment that is shown. */
export function zoneName(zone: Zone, at: number): string {
  if (zone === "utc") return "UTC";
  const minutes = -new Date(at * 1000).getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}
