/**
 * Numbers as people read them. The only place that knows how a unit is written.
 *
 * `format` gives at most three significant figures with a prefix (`1.2 GiB`, `350 ms`, `12.4 k/s`); `formatFull` gives every
 * digit, for a hover. A number and its unit are parted by a no-break space.
 */
export type Unit = "number" | "bytes" | "bytes/s" | "seconds" | "percent" | "ratio" | "per-second" | "celsius" | "time";

const NBSP = "\u00a0";
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const DECIMAL = ["", "k", "M", "G", "T", "P", "E"];

/** Made once: making one is what costs. */
const FULL = new Intl.NumberFormat("en-US", { maximumFractionDigits: 12 });

export function format(value: number | null | undefined, unit: Unit, digits = 3): string {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return special(value);
  switch (unit) {
    case "bytes":
      return binary(value, "", digits);
    case "bytes/s":
      return binary(value, "/s", digits);
    case "seconds":
      return duration(value, digits);
    case "percent":
      return `${figures(value, digits)}${NBSP}%`;
    case "ratio":
      return `${figures(value * 100, digits)}${NBSP}%`;
    case "per-second":
      return `${decimal(value, true, digits)}/s`;
    case "celsius":
      return `${figures(value, digits)}${NBSP}°C`;
    case "time":
      return new Date(value * 1000).toISOString().replace("T", " ").slice(0, 19);
    case "number":
      return decimal(value, false, digits);
  }
}

/**
 * A tick of an axis: as many figures as it takes to tell it from its neighbour `step` away, all ticks in the prefix that
 * their size has.
 */
export function formatTick(value: number, step: number, unit: Unit): string {
  const wanted = value === 0 || step === 0 ? 1 : Math.ceil(Math.log10(Math.abs(value / step)) - 1e-9) + 1;
  return format(value, unit, Math.max(3, Math.min(9, wanted)));
}

/** Every digit, and the base unit: what a hover shows. */
export function formatFull(value: number | null | undefined, unit: Unit): string {
  if (value === null || value === undefined) return "no value";
  if (!Number.isFinite(value)) return special(value);
  const digits = FULL.format(value);
  const suffix: Record<Unit, string> = { number: "", bytes: "B", "bytes/s": "B/s", seconds: "s", percent: "%", ratio: "", "per-second": "/s", celsius: "°C", time: "" };
  return suffix[unit] === "" ? digits : `${digits}${NBSP}${suffix[unit]}`;
}

/** A span of time in at most two units: `350 ms`, `1.5 s`, `2 m 5 s`, `3 d 4 h`. */
export function duration(seconds: number, digits = 3): string {
  const sign = seconds < 0 ? "−" : "";
  const size = Math.abs(seconds);
  if (size === 0) return `0${NBSP}s`;
  for (const [limit, factor, name] of [[1e-6, 1e9, "ns"], [1e-3, 1e6, "µs"], [1, 1e3, "ms"], [60, 1, "s"]] as const) {
    if (size < limit) return `${sign}${figures(size * factor, digits)}${NBSP}${name}`;
  }
  for (const [limit, big, big_name, small, small_name] of [
    [3600, 60, "m", 1, "s"],
    [86_400, 3600, "h", 60, "m"],
    [Infinity, 86_400, "d", 3600, "h"],
  ] as const) {
    if (size < limit) {
      const count = Math.floor(size / big);
      const rest = Math.floor((size - count * big) / small);
      return `${sign}${count}${NBSP}${big_name}${rest > 0 ? ` ${rest}${NBSP}${small_name}` : ""}`;
    }
  }
  return `${sign}${figures(size, digits)}${NBSP}s`;
}

/** Distances between ticks that look round in the unit: powers of two for bytes, sixties for durations. */
export function tickSteps(unit: Unit): number[] | null {
  if (unit === "bytes" || unit === "bytes/s") return Array.from({ length: 63 }, (_, i) => 2 ** i);
  if (unit !== "seconds") return null;
  const small = [-9, -8, -7, -6, -5, -4, -3, -2, -1].flatMap((e) => [10 ** e, 2 * 10 ** e, 5 * 10 ** e]);
  return [...small, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000, 8_640_000, 86_400_000];
}

function special(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  return value > 0 ? "+Inf" : "−Inf";
}

function binary(value: number, per: string, digits: number): string {
  const [amount, rank] = reduce(value, 1024, BINARY.length - 1);
  return `${figures(amount, digits)}${NBSP}${BINARY[rank]}${per}`;
}

function decimal(value: number, per_second: boolean, digits: number): string {
  const [amount, rank] = reduce(value, 1000, DECIMAL.length - 1);
  const prefix = DECIMAL[rank] ?? "";
  if (prefix === "") return per_second ? `${figures(amount, digits)}${NBSP}` : figures(amount, digits);
  return `${figures(amount, digits)}${NBSP}${prefix}`;
}

/** The value below `base` and how often it was divided; what rounds up to `base` goes one further. */
function reduce(value: number, base: number, ranks: number): [number, number] {
  let amount = value;
  let rank = 0;
  while (rank < ranks && Math.abs(amount) >= base - 0.5) {
    amount /= base;
    rank += 1;
  }
  return [amount, rank];
}

/** At most `digits` significant figures, but never fewer than the whole part has; a real minus sign. */
function figures(value: number, digits: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e21)) return value.toExponential(2).replace(/\.?0+e/, "e").replace(/-/g, "−");
  const text = size >= 10 ** (digits - 1) ? Math.round(value).toString() : String(Number(value.toPrecision(digits)));
  return text.replace("-", "−");
}
