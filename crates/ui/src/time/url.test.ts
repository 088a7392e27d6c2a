import { expect, test } from "vitest";
import { DEFAULT_RANGE, type TimeRange } from "./range";
import { readTime, writeRange } from "./url";

const read = (text: string) => readTime(new URLSearchParams(text));

test("an empty address is the default view, and the default view an empty address", () => {
  expect(read("")).toEqual({ range: DEFAULT_RANGE, live: true, zone: "local" });
  expect(writeRange(DEFAULT_RANGE)).toEqual({ range: null, from: null, to: null });
});

test("a range is read back as it was written", () => {
  const ranges: TimeRange[] = [
    { kind: "last", seconds: 5400 },
    { kind: "between", from: 1_772_355_907, to: 1_772_355_967 },
    { kind: "between", from: 1_772_355_907.25, to: 1_772_355_967.5 },
  ];
  for (const range of ranges) {
    const params = new URLSearchParams();
    for (const [name, value] of Object.entries(writeRange(range))) if (value !== null) params.set(name, value);
    expect(readTime(params).range).toEqual(range);
  }
});

test("what cannot be read is the default", () => {
  expect(read("range=later").range).toEqual(DEFAULT_RANGE);
  expect(read("from=2026-01-01T00:00:00Z&to=never").range).toEqual(DEFAULT_RANGE);
  expect(read("live=off&tz=utc")).toMatchObject({ live: false, zone: "utc" });
});
