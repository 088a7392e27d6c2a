/**
 * Ranges and moments as people type them ("15m", "last 6 hours", "2026-03-01 10:00 to 12:00"); `null` for what cannot be read.
 * Needed only when somebody types, so it is fetched then.
 */
import { parts, type Parts, type Zone } from "./moment";
import { between, last, parseDuration, type TimeRange } from "./range";

/** What a person typed, as a range. `now` resolves the word "now" and a time of day without a date. */
export function parseRange(text: string, now: number, zone: Zone): TimeRange | null {
  const clean = text.trim().replace(/^last\s+/i, "");
  const ends = clean.split(/\s+(?:to|until|–|—|-)\s+|\s*\.\.\s*/i);
  if (ends.length === 2) {
    const from = parseMoment(ends[0] ?? "", now, zone);
    const to = parseMoment(ends[1] ?? "", from ?? now, zone, now);
    return from === null || to === null ? null : between(from, to);
  }
  const seconds = parseDuration(/^\d+(\.\d+)?$/.test(clean) ? `${clean}m` : clean);
  return seconds === null ? null : last(seconds);
}

/**
 * What a person typed as one moment: `now`, Unix seconds, ISO 8601, `2026-03-01`, `2026-03-01 10:00`, or `10:00`
 * (on the day of `day_of`). `null` for anything else.
 */
export function parseMoment(text: string, day_of: number, zone: Zone, now = day_of): number | null {
  const clean = text.trim();
  if (clean.toLowerCase() === "now") return now;
  if (/^\d{9,11}(\.\d+)?$/.test(clean)) return Number(clean);
  if (/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:?\d\d)$/i.test(clean)) {
    const at = Date.parse(clean);
    return Number.isNaN(at) ? null : at / 1000;
  }
  const match = /^(?:(\d{4})-(\d{1,2})-(\d{1,2}))?(?:[T ]*(\d{1,2}):(\d\d)(?::(\d\d))?)?$/.exec(clean);
  if (match === null || clean === "") return null;
  const day = parts(day_of, zone);
  const pick = (index: number, otherwise: number): number => (match[index] === undefined ? otherwise : Number(match[index]));
  return fromParts({ year: pick(1, day.year), month: pick(2, day.month), day: pick(3, day.day), hour: pick(4, 0), minute: pick(5, 0), second: pick(6, 0) }, zone);
}

function fromParts(p: Parts, zone: Zone): number | null {
  if (p.month < 1 || p.month > 12 || p.day < 1 || p.day > 31 || p.hour > 23 || p.minute > 59 || p.second > 59) return null;
  const at = zone === "utc" ? Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) : new Date(p.year, p.month - 1, p.day, p.hour, p.minute, p.second).getTime();
  return Number.isNaN(at) ? null : at / 1000;
}
