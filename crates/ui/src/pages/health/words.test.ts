import { expect, test } from "vitest";
import { apdex, quantile } from "./feel";
import { healthyShare, runsOf } from "./strip";
import { ago, detailsText, levelOf, patternOf, secondsOf, shareText, stateOfScore } from "./words";

test("a score has a state", () => {
  expect([100, 90, 89.9, 70, 69.9, 0].map(stateOfScore)).toEqual(["healthy", "healthy", "degraded", "degraded", "unhealthy", "unhealthy"]);
  expect(stateOfScore(null)).toBe("unknown");
  expect([levelOf("pass"), levelOf("lost"), levelOf("nobody knows")]).toEqual(["ok", "critical", "unknown"]);
});

test("a pattern that is new has its own name", () => {
  expect(patternOf("slow-consumer")).toMatchObject({ word: "slow consumer", level: "warning" });
  expect(patternOf("brand-new").word).toBe("brand-new");
});

test("details are told in the unit of their name", () => {
  expect(detailsText({ fsync_ms: 12.5, head_bytes: 2048, used_percent: 82.4, fill: 0.5, up: true, shedding: [], reason: null })).toBe(
    "fsync: 12.5\u00a0ms · head: 2\u00a0KiB · used: 82.4\u00a0% · fill: 50\u00a0% · up: yes · shedding: none · reason: –",
  );
  expect(detailsText({ disk: { free_bytes: 1024 } })).toBe("disk: free 1\u00a0KiB");
});

test("times are how long ago they were", () => {
  expect(secondsOf("2026-11-21T20:00:00.500Z")).toBe(1795291200.5);
  expect(secondsOf("yesterday")).toBeNull();
  expect(ago("2026-11-21T20:00:00Z", 1795291203)).toBe("3\u00a0s ago");
  expect(ago("2026-11-21T20:00:00Z", 1795291199)).toBe("now");
  expect(ago(null, 0)).toBe("never");
});

test("a very small share is not nothing", () => {
  expect(shareText(0.000004)).toBe("< 0.01\u00a0%");
  expect(shareText(0)).toBe("0\u00a0%");
  expect(shareText(null)).toBe("–");
});

test("states over time are runs: unknown before the first, one where nothing changed", () => {
  const states = [{ status: "healthy", at: 40 } as const, { status: "healthy", at: 20 } as const, { status: "unhealthy", at: 60 } as const];
  expect(runsOf(states, 0, 100)).toEqual([
    { status: "unknown", from: 0, to: 20 },
    { status: "healthy", from: 20, to: 60 },
    { status: "unhealthy", from: 60, to: 100 },
  ]);
  expect(runsOf(states, 30, 50)).toEqual([{ status: "healthy", from: 30, to: 50 }]);
  expect(runsOf([], 0, 1)).toEqual([{ status: "unknown", from: 0, to: 1 }]);
  expect(healthyShare(runsOf(states, 0, 100))).toBe(0.5);
  expect(healthyShare(runsOf([], 0, 1))).toBeNull();
});

test("Apdex: satisfied, half for what is tolerated", () => {
  expect(apdex([0.1, 0.5, 1.9, 3])).toBe(0.625);
  expect(apdex([])).toBeNull();
  expect(quantile([3, 1, 2, 10], 0.75)).toBe(3);
  expect(quantile([], 0.5)).toBeNull();
});
