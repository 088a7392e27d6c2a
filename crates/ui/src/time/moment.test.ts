import { expect, test } from "vitest";
import { formatBetween, formatMoment, zoneName } from "./moment";
import { parseMoment } from "./typed";

const AT = Date.UTC(2026, 2, 1, 9, 5, 7) / 1000;

test("a moment is written so that it sorts", () => {
  expect(formatMoment(AT, "utc")).toBe("2026-03-01 09:05:07");
  expect(zoneName("utc", AT)).toBe("UTC");
});

test("the second of two moments leaves out the same day", () => {
  expect(formatBetween(AT, AT + 60, "utc")).toBe("2026-03-01 09:05:07 to 09:06:07");
  expect(formatBetween(AT, AT + 86_400, "utc")).toBe("2026-03-01 09:05:07 to 2026-03-02 09:05:07");
});

test("what is written can be typed, in either zone", () => {
  for (const zone of ["utc", "local"] as const) expect(parseMoment(formatMoment(AT, zone), 0, zone)).toBe(AT);
});

test("other spellings", () => {
  expect(parseMoment("1772355907", 0, "utc")).toBe(1_772_355_907);
  expect(parseMoment("2026-03-01T10:05:07+01:00", 0, "utc")).toBe(AT);
  expect(parseMoment("09:05:07", AT, "utc")).toBe(AT);
  expect(parseMoment("NOW", 5, "utc")).toBe(5);
});

test("what is no moment", () => {
  for (const text of ["", "yesterday", "25:00", "10:61", "2026-00-01"]) expect(parseMoment(text, AT, "utc"), text).toBeNull();
});
