import { expect, test } from "vitest";
import type { Maintenance, Silence } from "../../api/alerts";
import { daysFor, filled, timesOf } from "./calendar";

const at = (text: string) => Date.parse(text) / 1000;
const window = (start: string, recurrence: Maintenance["recurrence"], duration_seconds = 7200): Maintenance => ({ id: "m", name: "n", matchers: [], start, duration_seconds, recurrence, timezone: "UTC", comment: "", created_by: "", active: false, next_start: null });
const starts = (one: Maintenance, from: string, to: string) => timesOf(one, at(from), at(to)).map((time) => new Date(time.from * 1000).toISOString().slice(0, 16));

test("a week begins on Monday, a month has whole weeks", () => {
  const week = daysFor(at("2026-11-22T15:00:00Z"), "week", "utc");
  expect([week.length, week[0]?.number, week[6]?.number]).toEqual([7, 16, 22]);
  const month = daysFor(at("2026-02-10T00:00:00Z"), "month", "utc");
  expect([month.length, month[0]?.number, month[0]?.is_of_month, month.at(-1)?.number]).toEqual([35, 26, false, 1]);
});

test("maintenance repeats by day, week and month", () => {
  expect(starts(window("2026-03-02T22:00:00Z", null), "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z")).toEqual(["2026-03-02T22:00"]);
  expect(starts(window("2026-03-02T22:00:00Z", { every: "day", until: "2026-03-04T00:00:00Z" }), "2026-03-01T00:00:00Z", "2026-03-09T00:00:00Z")).toEqual(["2026-03-02T22:00", "2026-03-03T22:00"]);
  expect(starts(window("2026-03-02T22:00:00Z", { every: "week" }), "2026-03-08T00:00:00Z", "2026-03-20T00:00:00Z")).toEqual(["2026-03-09T22:00", "2026-03-16T22:00"]);
  expect(starts(window("2026-03-02T22:00:00Z", { every: "week", weekdays: ["tuesday", "sat"] }), "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z")).toEqual(["2026-03-03T22:00", "2026-03-07T22:00"]);
  expect(starts(window("2026-01-31T04:00:00Z", { every: "month" }), "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z")).toEqual(["2026-01-31T04:00", "2026-03-31T04:00", "2026-05-31T04:00"]);
});

test("what goes over midnight is on both days", () => {
  const silence = { id: "s", comment: "c", startsAt: "2026-03-03T23:00:00Z", endsAt: "2026-03-04T01:00:00Z" } as Silence;
  const days = filled(daysFor(at("2026-03-03T00:00:00Z"), "week", "utc"), [silence], [], "utc");
  expect(days.map(({ items }) => items.length)).toEqual([0, 1, 1, 0, 0, 0, 0]);
});
