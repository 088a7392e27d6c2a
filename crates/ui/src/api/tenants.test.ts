import { describe, expect, it } from "vitest";
import { full } from "./tenants";

const of = (series: number, limit: number | null) =>
  full({ limits: { series: limit, samples_per_second: null, queries: null }, use: { series, queries: 0, samples: 0, queries_asked: 0 } });

describe("a tenant is full", () => {
  it("when only overflow has room", () => {
    expect([of(48, 50), of(49, 50), of(50, 50)]).toEqual([false, true, true]);
    expect([of(989, 1000), of(990, 1000)]).toEqual([false, true]);
  });
  it("never without a limit", () => {
    expect([of(1e9, null), of(0, 0)]).toEqual([false, false]);
  });
});
