import { expect, test } from "vitest";
import { placed, type ChartMark } from "./marks";

const tag = (from: number, to: number | null): ChartMark => ({ kind: "tag", level: "critical", from, to, title: `${from}` });

test("marks are cut to the range, and what is outside is left out", () => {
  expect(placed([tag(-50, 50), tag(90, null), tag(150, 200), tag(-20, 0)], 0, 100).map(({ left, width, begins }) => [left, width, begins])).toEqual([
    [0, 50, false],
    [90, 10, true],
  ]);
});

test("those that overlap lie in lanes, and more than there are share the last", () => {
  expect(placed([tag(0, 50), tag(10, 60), tag(20, 70), tag(30, 80), tag(55, 90)], 0, 100).map(({ lane }) => lane)).toEqual([0, 1, 2, 2, 0]);
});

test("bands that overlap are one, and keep their distance from others", () => {
  const band = (from: number, to: number | null): ChartMark => ({ ...tag(from, to), kind: "band" });
  expect(placed([band(10, 20), band(15, 30), band(15, 18), band(40, 50), band(45, null)], 0, 100).map(({ left, width, mark }) => [left, width, mark.title])).toEqual([
    [10, 20, "10, and others"],
    [40, 60, "40, and others"],
  ]);
});
