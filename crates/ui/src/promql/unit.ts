/**
 * The unit of what an expression answers, guessed from the metric's metadata, else from the ending of its name, and from the
 * function around it. A guess that has no ground is a plain number: a missing unit is better than a wrong one.
 */
import type { Unit } from "../units/format";

/** What the server's catalog says of a metric. */
export interface MetricFacts {
  type: string;
  unit: string;
  help: string;
}

const ENDINGS: [RegExp, Unit][] = [
  [/_bytes$/, "bytes"],
  [/_seconds$/, "seconds"],
  [/_(ratio|utilization)$/, "ratio"],
  [/_(percent|percentage)$/, "percent"],
  [/_celsius$/, "celsius"],
];

const WORDS: Record<string, Unit> = {
  bytes: "bytes", byte: "bytes", by: "bytes", seconds: "seconds", second: "seconds", s: "seconds",
  ratio: "ratio", percent: "percent", "%": "percent", celsius: "celsius",
};

/** Functions whose answer is a number of things, whatever went in. */
const COUNTING = /^\s*(count|count_values|absent|absent_over_time|count_over_time|changes|resets|group|present_over_time|scalar_count|day_of_month|day_of_week|day_of_year|days_in_month|hour|minute|month|year|sgn|ln|log2|log10|exp|stdvar|stdvar_over_time)\b/;
const PER_SECOND = /\b(rate|irate|deriv)\s*\(/;
const KEYWORDS = new Set(["by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset", "and", "or", "unless", "atan2", "inf", "nan", "start", "end"]);

export function unitOf(expression: string, facts: (metric: string) => MetricFacts | undefined): Unit {
  const bare = withoutStrings(expression);
  if (/(^|[^=!<>])(==|!=|<=|>=|<|>)\s*bool\b/.test(bare) || COUNTING.test(bare)) return "number";
  const sides = splitAtDivision(bare);
  if (sides !== null) return ofQuotient(unitOf(sides[0], facts), sides, facts);
  if (/\btimestamp\s*\(|^\s*time\s*\(/.test(bare)) return "time";
  const metric = metricsIn(bare)[0];
  if (metric === undefined) return "number";
  const base = /_bucket$/.test(metric) && !/histogram_quantile/.test(bare) ? "number" : unitOfMetric(metric, facts);
  if (!PER_SECOND.test(bare) || /histogram_(quantile|avg)\s*\(/.test(bare)) return base;
  if (base === "bytes") return "bytes/s";
  // Seconds per second are a share of time; of anything else it is simply so many a second.
  return base === "seconds" ? "ratio" : base === "number" ? "per-second" : "number";
}

/** The unit of one metric's samples. */
export function unitOfMetric(metric: string, facts: (metric: string) => MetricFacts | undefined): Unit {
  if (/_(count|bucket)$/.test(metric) && facts(metric) === undefined && /_(count)$/.test(metric)) return "number";
  const family = metric.replace(/_(total|sum|bucket|created)$/, "");
  const said = facts(metric)?.unit ?? facts(family)?.unit ?? "";
  return WORDS[said.toLowerCase()] ?? ENDINGS.find(([ending]) => ending.test(family))?.[1] ?? "number";
}

/** The metric names an expression selects, in order. */
export function metricsIn(expression: string): string[] {
  const bare = withoutStrings(expression)
    .replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, " ")
    .replace(/\{[^}]*\}/g, " ")
    .replace(/\[[^\]]*\]/g, " ");
  return [...bare.matchAll(/(?<![\w:.])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])/g)].map((match) => match[1] ?? "").filter((name) => !KEYWORDS.has(name.toLowerCase()));
}

function ofQuotient(left: Unit, [, right]: [string, string], facts: (metric: string) => MetricFacts | undefined): Unit {
  if (metricsIn(right).length === 0) return left;
  const below = unitOf(right, facts);
  const is_rate_of_counts = below === "per-second" || below === "number";
  // rate(x_seconds_sum) / rate(x_seconds_count): both are rates, the seconds remain.
  if (left === "ratio" && is_rate_of_counts && /_sum\b/.test(metricsIn(right)[0]?.replace(/_count$/, "_sum") ?? "")) return "seconds";
  if (left === "bytes/s" && below === "per-second") return "bytes";
  if (left === below && left !== "number") return "ratio";
  return below === "number" && left !== "number" ? left : "number";
}

/** The two sides of the last division outside all brackets. */
function splitAtDivision(text: string): [string, string] | null {
  let depth = 0;
  for (let i = text.length - 1; i >= 0; i -= 1) {
    const c = text[i] ?? "";
    if (")]}".includes(c)) depth += 1;
    else if ("([{".includes(c)) depth -= 1;
    else if (c === "/" && depth === 0) return [text.slice(0, i), text.slice(i + 1)];
  }
  return null;
}

/** Quoted text and comments blanked out, so that no bracket or name in them counts. */
function withoutStrings(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`/g, '""').replace(/#[^\n]*/g, "");
}
