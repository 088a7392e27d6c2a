import { describe, expect, test } from "vitest";
import type { ClientLine } from "../../api/health";
import { countStates, listed, readListing, writeListing } from "./listing";

const line = (id: string, score: number, more: Partial<ClientLine> = {}): ClientLine => ({
  "client-id": id,
  "connected-duration-hours": 1,
  "api-calls": 0,
  "events-received": 0,
  "queue-health": "healthy",
  state: "connected",
  "client-health-score": score,
  pattern: "ordinary",
  cost: 0,
  ...more,
});
const LINES = [line("Web-1", 100, { cost: 2 }), line("web-2", 80, { cost: 9, pattern: "bulk" }), line("job", 40, { "queue-health": "critical", "api-calls": 7 })];
const names = (query: string): string[] => listed(LINES, readListing(new URLSearchParams(query))).map((one) => one["client-id"]);

describe("the list of clients", () => {
  test("who costs most stands first, unless another order is asked for", () => {
    expect(names("")).toEqual(["web-2", "Web-1", "job"]);
    expect(names("sort=health")).toEqual(["job", "web-2", "Web-1"]);
    expect(names("sort=-calls")).toEqual(["job", "Web-1", "web-2"]);
    expect(names("sort=-queue")[0]).toBe("job");
    expect(names("sort=nonsense")).toEqual(names(""));
  });

  test("filters hold together", () => {
    expect(names("find=WEB")).toEqual(["web-2", "Web-1"]);
    expect(names("find=web&health=degraded")).toEqual(["web-2"]);
    expect(names("queue=critical")).toEqual(["job"]);
    expect(names("pattern=bulk")).toEqual(["web-2"]);
    expect(names("pattern=bulk&queue=critical")).toEqual([]);
    expect(names("health=nonsense").length).toBe(3);
  });

  test("what is written is read again, and what is as usual is not written", () => {
    const listing = { find: "a b", health: "unhealthy" as const, pattern: "idle", queue: "warning", gone: true, sorting: { column: "client", descending: false } };
    const patch = writeListing(listing);
    expect(readListing(new URLSearchParams(patch as Record<string, string>))).toEqual(listing);
    expect(writeListing(readListing(new URLSearchParams()))).toEqual({ find: null, health: null, pattern: null, queue: null, gone: null, sort: null });
  });

  test("states are counted", () => expect(countStates(LINES)).toEqual({ healthy: 1, degraded: 1, unhealthy: 1, unknown: 0 }));
});
