import { expect, test } from "vitest";
import { apdex, quantile } from "./feel";
import type { ClusterHealth, ComponentHealth, HealthCheck } from "../../api/health";
import { healthyShare, runsOf } from "./strip";
import { rowsOf, rowsOfFigures } from "./score";
import { checksTold, clusterTold, componentsTold } from "./told";
import { ago, detailsText, dueText, levelOf, patternOf, readDetails, secondsOf, shareText, stateOfScore } from "./words";

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
    "fsync: 12.5\u00a0ms · head: 2\u00a0KiB · used: 82.4\u00a0% · fill: 50\u00a0% · up: yes · shedding: none",
  );
  expect(detailsText({ due: "2026-11-21T20:00:00.500Z" })).toBe("due: 2026-11-21 20:00:00 UTC");
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

test("what a component says of itself, apart from what all say", () => {
  expect(readDetails({ message: "disk full", checks: { wal: "unhealthy" }, caused_by: ["disk"], since: "2026-11-21T20:00:00Z", score: 12.5, score_parts: [], free_bytes: 0 })).toEqual({
    message: "disk full",
    checks: [["wal", "unhealthy"]],
    caused_by: ["disk"],
    flapping: false,
    since: "2026-11-21T20:00:00Z",
    score: 12.5,
    rest: [["free_bytes", 0]],
  });
  expect(readDetails({})).toMatchObject({ message: null, checks: [], rest: [] });
});

test("a job is due a period after its last success", () => {
  expect(dueText("2026-11-21T20:00:00Z", 60, 1795291210)).toBe("in 50\u00a0s");
  expect(dueText("2026-11-21T20:00:00Z", 60, 1795291262)).toBe("2\u00a0s late");
  expect(dueText(null, 60, 0)).toBe("–");
});

test("points add up to the score, and what is not known counts as full or not at all", () => {
  const parts = { a: { value: 0.5, weight: 3 }, b: { value: null, weight: 1 } };
  expect(rowsOf(parts, "full").map(({ points, most }) => [points, most])).toEqual([[37.5, 75], [25, 25]]);
  expect(rowsOf(parts, "left out").map(({ points, most }) => [points, most])).toEqual([[50, 100], [null, 0]]);
  const figure = { name: "event_loop_lag_p95_ms", value: 105, good: 10, bad: 200, weight: 1, score: 0.5, critical: true };
  expect(rowsOfFigures([figure, { ...figure, name: "x", value: null, score: null }])).toMatchObject([
    { now: "105\u00a0ms", about: "full at 10\u00a0ms, nothing at 200\u00a0ms, critical", points: 50, most: 100 },
    { now: "not known", points: null, most: 0 },
  ]);
});

test("an event replaces what it is about, adds what is new, and never harms", () => {
  const event = (document: unknown) => ({ name: "component_health", id: "1", data: typeof document === "string" ? document : JSON.stringify(document) });
  const component = (name: string, status: string) => ({ component: name, node: "n", status }) as ComponentHealth;
  const before_it = { components: [component("a", "healthy"), component("b", "healthy")] };
  expect(componentsTold.take(before_it, event(component("b", "degraded"))).components.map(({ status }) => status)).toEqual(["healthy", "degraded"]);
  expect(before_it.components[1]?.status).toBe("healthy");
  expect(componentsTold.take(before_it, event(component("c", "unknown"))).components.length).toBe(3);
  expect(componentsTold.take(before_it, event("{"))).toEqual(before_it);
  const check = { check_name: "x", node: "n", result: "pass" } as HealthCheck;
  expect(checksTold.take({ checks: [check] }, event({ ...check, result: "fail" })).checks).toEqual([{ ...check, result: "fail" }]);
  const cluster = { status: "healthy" } as ClusterHealth;
  expect(clusterTold.take(cluster, event({ status: "degraded" }))).toEqual({ status: "degraded" });
  expect(clusterTold.take(cluster, event("null"))).toBe(cluster);
});
