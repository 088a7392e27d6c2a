import { describe, expect, test } from "vitest";
import { align, between, durationCode, lastName, parseDuration, scale, shift, stepFor } from "./range";
import { parseRange } from "./typed";

const NOW = Date.UTC(2026, 2, 1, 12, 0, 0) / 1000;
const at = (text: string): number => Date.parse(`${text}Z`) / 1000;

describe("durations", () => {
  const check = (text: string, seconds: number | null) => expect(parseDuration(text), text).toBe(seconds);
  test("as people type them", () => {
    check("15m", 900);
    check("1h30m", 5400);
    check("2 days", 172_800);
    check("90 s", 90);
    check("1.5h", 5400);
    check("1 Hour 5 min", 3900);
  });
  test("what is none", () => {
    for (const text of ["", "m", "5", "5x", "5m and more", "-5m"]) check(text, null);
  });
  test("written and read again", () => {
    for (const seconds of [1, 59, 60, 3661, 86_400, 90_061]) check(durationCode(seconds), seconds);
  });
});

describe("ranges", () => {
  const check = (text: string, range: unknown) => expect(parseRange(text, NOW, "utc"), text).toEqual(range);
  test("relative", () => {
    check("45m", { kind: "last", seconds: 2700 });
    check("Last 2 days", { kind: "last", seconds: 172_800 });
    check("20", { kind: "last", seconds: 1200 });
  });
  test("absolute", () => {
    const morning = { kind: "between", from: at("2026-03-01T10:00:00"), to: at("2026-03-01T11:30:00") };
    check("2026-03-01 10:00 to 2026-03-01 11:30", morning);
    check("2026-03-01 10:00 to 11:30", morning);
    check("10:00 - 11:30", morning);
    check("2026-03-01 11:30 until 2026-03-01 10:00", morning);
    check("2026-02-28 to now", { kind: "between", from: at("2026-02-28T00:00:00"), to: NOW });
  });
  test("what is none", () => {
    for (const text of ["", "soon", "10:00", "0s", "100y", "10:00 to", "2026-13-01 to now"]) check(text, null);
  });
  test("too short or broken ends are refused", () => {
    expect(between(5, 5)).toBeNull();
    expect(between(NaN, 5)).toBeNull();
  });
});

describe("moving and scaling", () => {
  test("earlier by half, and back to now", () => {
    expect(shift({ kind: "last", seconds: 600 }, -1, NOW)).toEqual({ kind: "between", from: NOW - 900, to: NOW - 300 });
    expect(shift({ kind: "between", from: NOW - 900, to: NOW - 300 }, 1, NOW)).toEqual({ kind: "last", seconds: 600 });
  });
  test("zooming out stops at now, zooming in at the shortest range", () => {
    expect(scale({ kind: "between", from: NOW - 100, to: NOW }, 2, NOW)).toEqual({ kind: "between", from: NOW - 150, to: NOW });
    expect(scale({ kind: "last", seconds: 5 }, 0.5, NOW)).toEqual({ kind: "last", seconds: 5 });
  });
});

test("steps keep the points within their limit and on a round grid", () => {
  expect(stepFor(900, 900)).toBe(1);
  expect(stepFor(3600, 900)).toBe(5);
  expect(stepFor(30 * 86_400, 900)).toBe(3600);
  expect(stepFor(3650 * 86_400, 900)).toBe(5 * 86_400);
  expect(align({ from: 11, to: 29 }, 10)).toEqual({ from: 10, to: 20 });
});

test("names of relative ranges", () => {
  expect(lastName(900)).toBe("Last 15 minutes");
  expect(lastName(3600)).toBe("Last hour");
  expect(lastName(604_800)).toBe("Last 7 days");
});
