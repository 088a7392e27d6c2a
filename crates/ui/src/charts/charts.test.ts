import { describe, expect, test } from "vitest";
import { frameOf, lastValue, merged, withPoints, type Frame } from "./frame";
import { isolated, toggled } from "./legend";
import { tickText, yRange } from "./options";
import { contrast, DAY_SERIES, DAY_SURFACE, NIGHT_SERIES, NIGHT_SURFACE, strokeOf } from "./palette";
import { sparkPath } from "./spark";

const A = { host: "a" };
const B = { host: "b" };

describe("frames", () => {
  const frame = frameOf([{ labels: A, samples: [[10, "1"], [30, "3"]] }], 10, 30, 10);
  const values = (of: Frame | null) => of?.lines.map((line) => line.values);

  test("a missing step is a gap", () => {
    expect(frame.times).toEqual([10, 20, 30]);
    expect(values(frame)).toEqual([[1, null, 3]]);
  });
  test("what is not finite is a gap", () => expect(values(frameOf([{ labels: A, samples: [[0, "NaN"], [1, "+Inf"], [2, "5"]] }], 0, 2, 1))).toEqual([[null, null, 5]]));
  test("the next moment joins, the oldest leaves", () => {
    const next = withPoints(frame, 40, [{ labels: A, value: 4 }], 20);
    expect(next.times).toEqual([20, 30, 40]);
    expect(values(next)).toEqual([[null, 3, 4]]);
  });
  test("missed steps are gaps", () => expect(values(withPoints(frame, 60, [{ labels: A, value: 6 }], 0))).toEqual([[1, null, 3, null, null, 6]]));
  test("a gap is filled by the moments that come late", () => {
    const gap = withPoints(frame, 60, [{ labels: A, value: 6 }], 0);
    const filled = [40, 50].reduce((now, at) => withPoints(now, at, [{ labels: A, value: at / 10 }], 0), gap);
    expect(values(filled)).toEqual([[1, null, 3, 4, 5, 6]]);
  });
  test("a moment that comes twice is written over", () => expect(values(withPoints(frame, 30, [{ labels: A, value: 9 }], 0))).toEqual([[1, null, 9]]));
  test("a moment before all is dropped", () => expect(withPoints(frame, 0, [{ labels: A, value: 9 }], 0)).toBe(frame));
  test("a new series starts with gaps, one without values leaves", () => {
    const joined = withPoints(frame, 40, [{ labels: B, value: 7 }], 0);
    expect(values(joined)).toEqual([[1, null, 3, null], [null, null, null, 7]]);
    expect(values(withPoints(joined, 50, [{ labels: B, value: 8 }], 40))).toEqual([[7, 8]]);
  });
  test("it never grows past its window", () => {
    let live = frame;
    for (let at = 40; at <= 4000; at += 10) live = withPoints(live, at, [{ labels: A, value: at }], at - 20);
    expect(live.times).toEqual([3980, 3990, 4000]);
  });
  test("frames of other lengths are merged on one grid", () => {
    const other = frameOf([{ labels: B, samples: [[40, "4"]] }], 20, 40, 10);
    const both = merged([frame, other]);
    expect(both?.times).toEqual([10, 20, 30, 40]);
    expect(values(both)).toEqual([[1, null, 3, null], [null, null, null, 4]]);
  });
  test("the newest value that is there", () => {
    expect(lastValue({ key: "", labels: {}, values: [1, 2, null] })).toBe(2);
    expect(lastValue({ key: "", labels: {}, values: [null] })).toBeNull();
  });
});

describe("legend", () => {
  const all = ["a", "b", "c"];
  test("a click isolates, again shows all", () => {
    const alone = isolated(all, new Set(), "a");
    expect([...alone]).toEqual(["b", "c"]);
    expect(isolated(all, alone, "a").size).toBe(0);
    expect([...isolated(all, alone, "b")]).toEqual(["a", "c"]);
  });
  test("with Ctrl it adds and removes; nothing left is everything", () => {
    expect([...toggled(all, new Set(["b", "c"]), "b")]).toEqual(["c"]);
    expect(toggled(["a"], new Set(), "a").size).toBe(0);
  });
});

describe("drawing", () => {
  test("every series colour has 3:1 against its surface, in both themes", () => {
    for (const color of DAY_SERIES) expect(contrast(color, DAY_SURFACE), color).toBeGreaterThanOrEqual(3);
    for (const color of NIGHT_SERIES) expect(contrast(color, NIGHT_SURFACE), color).toBeGreaterThanOrEqual(3);
  });
  test("the ninth series is the first, dashed", () => {
    expect(strokeOf(8, false).color).toBe(strokeOf(0, false).color);
    expect(strokeOf(0, false).dash).toEqual([]);
    expect(strokeOf(8, false).dash).not.toEqual([]);
  });
  test("zero is on the axis where it means something", () => {
    expect(yRange(5, 10, "bytes")[0]).toBe(0);
    expect(yRange(99, 100, "percent")).toEqual([0, 100]);
    expect(yRange(12_470, 12_490, "number")[0]).toBeGreaterThan(12_000);
    expect(yRange(null, null, "bytes")).toEqual([0, 1]);
    const [low, high] = yRange(7, 7, "number");
    expect((high + low) / 2).toBeCloseTo(7);
  });
  test("ticks say the day where it changes", () => {
    const noon = Date.UTC(2026, 2, 1, 12) / 1000;
    expect(tickText(noon, noon - 300, 300, "utc")).toBe("12:00");
    expect(tickText(noon, noon - 5, 5, "utc")).toBe("12:00:00");
    expect(tickText(noon + 43_200, noon, 43_200, "utc")).toBe("03-02");
  });
  test("a sparkline breaks at gaps and keeps inside its box", () => {
    expect(sparkPath([1, 2, null, 3, 4], 40, 20).line.match(/M/g)).toHaveLength(2);
    expect(sparkPath([1], 40, 20)).toEqual({ line: "", area: "" });
    for (const y of sparkPath([5, 5, 5], 40, 20).line.matchAll(/ ([\d.]+)/g)) expect(Number(y[1])).toBeLessThanOrEqual(20);
  });
});
