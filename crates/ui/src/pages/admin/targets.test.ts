import { describe, expect, it } from "vitest";
import type { ActiveTarget, Targets } from "../../api/targets";
import { pairs, pools, scrapedAt, shownOf, upQuery } from "./targets";

function target(pool: string, address: string, health: ActiveTarget["health"], lastError = ""): ActiveTarget {
  return {
    discoveredLabels: { __address__: address, job: pool },
    labels: { instance: address, job: pool },
    scrapePool: pool,
    scrapeUrl: `http://${address}/metrics`,
    lastError,
    lastScrape: health === "unknown" ? "0001-01-01T00:00:00Z" : "2026-01-01T00:00:00Z",
    lastScrapeDuration: 0.01,
    health,
    scrapeInterval: "15s",
    scrapeTimeout: "10s",
  };
}

const FOUND: Targets = {
  activeTargets: [target("b", "y:1", "up"), target("a", "z:1", "up"), target("a", "x:1", "down", "connection refused"), target("a", "w:1", "unknown")],
  droppedTargets: [{ discoveredLabels: { __address__: "v:1" }, scrapePool: "b" }],
  droppedTargetCounts: { a: 0, b: 7, c: 0 },
};

const told = (...args: Parameters<typeof pools>): string[] => pools(...args).map((pool) => `${pool.name}: ${[...pool.active.map((one) => one.labels["instance"]), ...pool.dropped.map(() => "dropped")].join(" ")}`);

describe("pools", () => {
  it("have what is down first, and jobs without targets too", () => {
    expect(told(FOUND, "all", "")).toEqual(["a: x:1 w:1 z:1", "b: y:1 dropped", "c: "]);
    expect(pools(FOUND, "all", "")[0]).toMatchObject({ up: 1, total: 3, dropped_count: 0 });
    expect(pools(FOUND, "all", "")[1]).toMatchObject({ up: 1, total: 1, dropped_count: 7 });
  });
  it("are filtered by state and by words", () => {
    expect(told(FOUND, "down", "")).toEqual(["a: x:1"]);
    expect(told(FOUND, "dropped", "")).toEqual(["b: dropped"]);
    expect(told(FOUND, "all", "REFUSED a")).toEqual(["a: x:1"]);
    expect(told(FOUND, "all", 'instance="y')).toEqual(["b: y:1"]);
    expect(told(FOUND, "all", "nothing like it")).toEqual([]);
  });
});

it("reads addresses, times and labels", () => {
  expect(shownOf("dropped")).toBe("dropped");
  expect(shownOf("oops")).toBe("all");
  expect(scrapedAt(target("a", "x", "unknown"))).toBeNull();
  expect(scrapedAt(target("a", "x", "up"))).toBe(1767225600);
  expect(pairs({ b: 'x"y', a: "1" })).toEqual(['a="1"', 'b="x\\"y"']);
  expect(upQuery(target("a", "x", "up"))).toBe('up{instance="x",job="a"}');
});
