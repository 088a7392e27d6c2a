import { describe, expect, test } from "vitest";
import { byClients, lineOf, newest, rateOf, READINGS_MAX, withReading, type Course } from "./course";

const course = (...readings: [at: number, calls: number | null][]): Course => readings.map(([at, calls]) => ({ at, values: { calls } }));

describe("what a page has read", () => {
  test("values stand as they were, and a long pause is a gap", () => {
    expect(lineOf(course([0, 4], [2, null], [4, 6]), "calls")).toEqual([4, null, 6]);
    expect(lineOf(course([0, 4], [200, 6]), "calls")).toEqual([4, null, 6]);
    expect(lineOf(course([0, 4]), "nothing")).toEqual([null]);
  });

  test("what grows is a rate; a restart is none, and so is a pause", () => {
    expect(rateOf(course([0, 10], [2, 14], [6, 34]), "calls")).toEqual([2, 5]);
    expect(rateOf(course([0, 10], [2, 3], [4, 5]), "calls")).toEqual([null, 1]);
    expect(rateOf(course([0, 10], [100, 300], [102, 304]), "calls")).toEqual([null, 2]);
    expect(rateOf(course([0, 10], [0, 12]), "calls")).toEqual([null]);
    expect(rateOf(course([0, 10]), "calls")).toEqual([]);
  });

  test("only the last readings are kept", () => {
    let kept: Course = [];
    for (let at = 0; at < READINGS_MAX + 5; at += 1) kept = withReading(kept, at, { calls: at });
    expect(kept.length).toBe(READINGS_MAX);
    expect(kept.at(-1)?.values.calls).toBe(READINGS_MAX + 4);
  });

  test("the newest value is a mean of the last that are known", () => {
    expect(newest([1, 2, 6], 2)).toBe(4);
    expect(newest([1, null], 1)).toBeNull();
    expect(newest([1, null, 3], 3)).toBe(2);
    expect(newest([])).toBeNull();
  });
});

describe("what the number of clients does", () => {
  const reading = (at: number, clients: number, p95: number | null, calls: number) => ({ at, values: { clients, p95, calls, lag: null, memory: 100 } });

  test("readings with as many clients are one step, from the fewest on", () => {
    const steps = byClients([reading(0, 10, 20, 0), reading(2, 2, 5, 10), reading(4, 10, 40, 30)]);
    expect(steps).toEqual([
      { few: 2, many: 2, calls: 5, p95: 5, lag: null, memory: 100, readings: 1 },
      { few: 10, many: 10, calls: 10, p95: 30, lag: null, memory: 100, readings: 2 },
    ]);
  });

  test("many different numbers are few steps", () => {
    const steps = byClients(Array.from({ length: 200 }, (_, i) => reading(i * 2, i, 1, i)));
    expect(steps.length).toBeLessThanOrEqual(6);
    expect(steps[0]).toMatchObject({ few: 0 });
    expect(steps.at(-1)).toMatchObject({ many: 199 });
    expect(steps.reduce((sum, { readings }) => sum + readings, 0)).toBe(200);
  });

  test("nothing read is nothing", () => expect(byClients([])).toEqual([]));
});
