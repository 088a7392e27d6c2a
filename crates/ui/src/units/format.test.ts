import { describe, expect, test } from "vitest";
import { format, formatFull, formatTick, type Unit } from "./format";

/** Compares with plain spaces, for the eye's sake. */
const check = (value: number | null, unit: Unit, text: string) => expect(format(value, unit).replaceAll("\u00a0", " ")).toBe(text);

describe("three figures and a prefix", () => {
  test("bytes", () => {
    check(0, "bytes", "0 B");
    check(1023, "bytes", "1023 B");
    check(1023.9 * 1024, "bytes", "1 MiB");
    check(1288490189, "bytes", "1.2 GiB");
    check(-2048, "bytes", "−2 KiB");
    check(1536, "bytes/s", "1.5 KiB/s");
  });
  test("durations", () => {
    check(0, "seconds", "0 s");
    check(3.5e-8, "seconds", "35 ns");
    check(0.35, "seconds", "350 ms");
    check(1.5, "seconds", "1.5 s");
    check(125, "seconds", "2 m 5 s");
    check(3600, "seconds", "1 h");
    check(273_900, "seconds", "3 d 4 h");
  });
  test("rates and plain numbers", () => {
    check(12_400, "per-second", "12.4 k/s");
    check(86.52, "per-second", "86.5 /s");
    check(999.6, "number", "1 k");
    check(1_234_567, "number", "1.23 M");
    check(0.00012, "number", "1.2e−4");
    check(-5, "number", "−5");
  });
  test("shares", () => {
    check(42.19, "percent", "42.2 %");
    check(0.4219, "ratio", "42.2 %");
  });
  test("what is no number", () => {
    check(null, "bytes", "–");
    check(NaN, "bytes", "NaN");
    check(Infinity, "seconds", "+Inf");
  });
});

test("a hover shows every digit", () => {
  expect(formatFull(1_288_490_189, "bytes")).toBe("1,288,490,189\u00a0B");
  expect(formatFull(0.1234567, "ratio")).toBe("0.1234567");
});

test("neighbouring ticks differ", () => {
  const texts = [12_470, 12_480, 12_490].map((tick) => formatTick(tick, 10, "number"));
  expect(new Set(texts).size).toBe(3);
  expect(formatTick(0.3, 0.1, "seconds")).toBe("300\u00a0ms");
});
