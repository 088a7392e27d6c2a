/** Days of a week or a month, and what lies on each: silences, and maintenance with its repetitions. Pure; days are of the zone that is shown. */
import type { Maintenance, Silence } from "../../api/alerts";
import { parts, type Zone } from "../../time/moment";

const DAY = 86_400;

export interface Item {
  id: string;
  kind: "silence" | "maintenance";
  title: string;
  /** Unix seconds. */
  from: number;
  to: number;
}

export interface Day {
  /** Its first moment. */
  from: number;
  number: number;
  is_of_month: boolean;
  items: Item[];
}

/** The first moment of the day that `at` is in. */
export function dayOf(at: number, zone: Zone): number {
  const { year, month, day } = parts(at, zone);
  return (zone === "utc" ? Date.UTC(year, month - 1, day) : new Date(year, month - 1, day).getTime()) / 1000;
}

/** The day so many days on, however long those between are. */
export function daysOn(day: number, count: number, zone: Zone): number {
  const { year, month, day: number } = parts(day, zone);
  return (zone === "utc" ? Date.UTC(year, month - 1, number + count) : new Date(year, month - 1, number + count).getTime()) / 1000;
}

/** Monday is 0. */
function weekday(day: number, zone: Zone): number {
  const date = new Date(day * 1000);
  return ((zone === "utc" ? date.getUTCDay() : date.getDay()) + 6) % 7;
}

/** The days of the week, or of the month in whole weeks, that `at` is in. */
export function daysFor(at: number, span: "week" | "month", zone: Zone): Omit<Day, "items">[] {
  const day = dayOf(at, zone);
  const { year, month } = parts(day, zone);
  const first = span === "week" ? day : dayOf((zone === "utc" ? Date.UTC(year, month - 1, 1) : new Date(year, month - 1, 1).getTime()) / 1000, zone);
  const start = daysOn(first, -weekday(first, zone), zone);
  const length = span === "week" ? 7 : Math.ceil((weekday(first, zone) + new Date(Date.UTC(year, month, 0)).getUTCDate()) / 7) * 7;
  return Array.from({ length }, (_, i) => {
    const from = daysOn(start, i, zone);
    const p = parts(from, zone);
    return { from, number: p.day, is_of_month: p.month === month };
  });
}

const WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/** Repetitions of one that are looked at. */
const TIMES_MAX = 1_000;

/**
 * The times of a maintenance between two moments. It repeats at the same time of day; what the clocks of its own time zone do
 * meanwhile is the server's business, so around a change of clocks this can be an hour off.
 */
export function timesOf(window: Maintenance, from: number, to: number): { from: number; to: number }[] {
  const start = Date.parse(window.start) / 1000;
  const { recurrence, duration_seconds } = window;
  const within = (at: number): boolean => at < to && at + duration_seconds > from;
  if (recurrence === null) return within(start) ? [{ from: start, to: start + duration_seconds }] : [];
  const until = recurrence.until ? Date.parse(recurrence.until) / 1000 : Infinity;
  const wanted = (recurrence.weekdays ?? []).map((name) => WEEKDAYS.findIndex((one) => one.startsWith(name.toLowerCase().slice(0, 3))));
  const times: { from: number; to: number }[] = [];
  const first = recurrence.every === "month" ? 0 : Math.max(0, Math.floor((from - duration_seconds - start) / DAY));
  for (let i = first; i < first + TIMES_MAX; i += 1) {
    const at = recurrence.every === "month" ? monthsOn(start, i) : start + i * DAY;
    if (at === null) continue;
    if (at >= to || at > until) break;
    if (!within(at)) continue;
    const day = (new Date(at * 1000).getUTCDay() + 6) % 7;
    const fits = recurrence.every === "day" ? wanted.length === 0 || wanted.includes(day) : recurrence.every === "month" || (wanted.length === 0 ? i % 7 === 0 : wanted.includes(day));
    if (fits) times.push({ from: at, to: at + duration_seconds });
  }
  return times;
}

/** The same day of a later month; `null` where that has no such day. */
function monthsOn(start: number, count: number): number | null {
  const date = new Date(start * 1000);
  const day = date.getUTCDate();
  date.setUTCMonth(date.getUTCMonth() + count, day);
  return date.getUTCDate() === day ? date.getTime() / 1000 : null;
}

/** The days with what lies on them, the earliest first. */
export function filled(days: readonly Omit<Day, "items">[], silences: readonly Silence[], windows: readonly Maintenance[], zone: Zone): Day[] {
  const [from, to] = [days[0]?.from ?? 0, daysOn(days.at(-1)?.from ?? 0, 1, zone)];
  const items: Item[] = [
    ...silences.map(({ id, comment, startsAt, endsAt }): Item => ({ id, kind: "silence", title: comment, from: Date.parse(startsAt) / 1000, to: Date.parse(endsAt) / 1000 })),
    ...windows.flatMap((window) => timesOf(window, from, to).map((time): Item => ({ id: window.id, kind: "maintenance", title: window.name, ...time }))),
  ].sort((a, b) => a.from - b.from);
  return days.map((day) => {
    const end = daysOn(day.from, 1, zone);
    return { ...day, items: items.filter((item) => item.from < end && item.to > day.from) };
  });
}
