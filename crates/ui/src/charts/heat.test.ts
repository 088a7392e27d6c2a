import { describe, expect, test } from "vitest";
import { frameOf } from "./frame";
import { changeText, shifted, withGhosts } from "./ghost";
import { heatColor, heatOf, heatScale, shareBelow } from "./heat";
import { statsOf } from "./stats";

const bucket = (le: string, values: [number, string][], more = {}) => ({ labels: { le, ...more }, samples: values, histograms: [] });

describe("heat maps", () => {
  test("of classic buckets: each less the one below, groups together", () => {
    const heat = heatOf([bucket("+Inf", [[0, "10"]]), bucket("1", [[0, "4"]]), bucket("0.5", [[0, "1"], [10, "2"]]), bucket("1", [[0, "3"]], { job: "b" })], 0, 10, 10);
    expect(heat.columns).toEqual([
      [{ low: 0, high: 0.5, count: 1 }, { low: 0, high: 1, count: 3 }, { low: 0.5, high: 1, count: 3 }, { low: 1, high: Infinity, count: 6 }],
      [{ low: 0, high: 0.5, count: 2 }],
    ]);
    expect(heat.bounds).toEqual([0, 0.5, 1]);
    expect(heat.most).toBe(6);
  });
  test("of native histograms, whose bounds are their own", () => {
    const heat = heatOf([{ labels: {}, samples: [], histograms: [[10, { buckets: [[3, "-0.1", "0.1", "2"], [0, "1", "2", "5"]] }]] }], 0, 10, 10);
    expect(heat.columns).toEqual([[], [{ low: -0.1, high: 0.1, count: 2 }, { low: 1, high: 2, count: 5 }]]);
  });
  test("counts that fall from bucket to bucket, and what is no number, are nothing", () => {
    expect(heatOf([bucket("1", [[0, "5"]]), bucket("2", [[0, "3"]]), bucket("x", [[0, "3"]]), bucket("4", [[0, "NaN"]])], 0, 0, 1).columns).toEqual([[{ low: 0, high: 1, count: 5 }]]);
  });
  test("an axis has room for what is open, and reads back", () => {
    const heat = heatOf([bucket("0.01", [[0, "1"]]), bucket("1", [[0, "2"]]), bucket("+Inf", [[0, "3"]])], 0, 0, 1);
    const log = heatScale(heat, 220, true);
    expect(log.y(0)).toBe(220);
    expect(log.y(Infinity)).toBe(0);
    expect(log.y(0.1)).toBeCloseTo(110);
    expect(log.value(log.y(0.3))).toBeCloseTo(0.3);
    const linear = heatScale(heat, 220, false);
    expect(linear.ticks[0]).toBe(0);
    expect(linear.y(0.5)).toBeCloseTo(110);
    expect(heatScale({ ...heat, bounds: [] }, 100, true).ticks).toEqual([]);
  });
  test("many is darker by day and lighter by night", () => {
    expect(heatColor(0, false)).toBe("rgb(228 222 246)");
    expect(heatColor(1, false)).toBe("rgb(43 18 102)");
    expect(heatColor(1, true)).toBe("rgb(253 240 184)");
  });
  test("the share below", () => expect(shareBelow([{ low: 0, high: 1, count: 6 }, { low: 1, high: 2, count: 4 }], 1.5)).toBe(0.8));
});

describe("comparing", () => {
  const frame = frameOf([{ labels: { v: "2", host: "a" }, samples: [[100, "5"]] }], 100, 120, 10);
  const before = frameOf([{ labels: { v: "1", host: "a" }, samples: [[0, "4"], [30, "9"]] }, { labels: { host: "gone" }, samples: [[10, "1"]] }], 0, 30, 10);
  test("faint lines lie on the present, bound to their twins", () => {
    const [twin, lone] = withGhosts(frame, shifted(before, 100), "v").lines;
    expect(twin).toMatchObject({ values: [4, null, null], ghost_of: frame.lines[0]?.key });
    expect(lone).toMatchObject({ values: [null, 1, null], ghost_of: lone?.key });
  });
  test("the change in words", () => {
    expect(changeText(11, 10)).toBe("+10\u00a0%");
    expect(changeText(10, 1000)).toBe("−99\u00a0%");
    expect(changeText(1, 0)).toBe("");
    expect(changeText(10, 10)).toBe("±0\u00a0%");
  });
});

test("what a line was", () => {
  expect(statsOf({ key: "", labels: {}, values: [1, null, 3, null] })).toEqual({ min: 1, max: 3, avg: 2, last: 3 });
  expect(statsOf({ key: "", labels: {}, values: [null] }).avg).toBeNull();
});
