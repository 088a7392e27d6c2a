/** Answers of both languages as what the page draws and lists. Pure. */
import type { JsonResult } from "../../api/explore";
import type { Frame, Line } from "../../charts/frame";
import { LINES_MAX } from "../../charts/frame";
import { problemIn, type Problem } from "../../promql/problem";
import { seriesKey, type Labels } from "../../promql/series";
import { parseDuration } from "../../time/range";

/** The labels of a result: its name, and its function and window where results differ in them. */
export function labelsOf(result: JsonResult, all: readonly JsonResult[]): Labels {
  const differs = (of: (one: JsonResult) => unknown): boolean => all.some((one) => one.name === result.name && of(one) !== of(result));
  const named = (name: string, value: string | null | undefined, is_wanted: boolean): Labels => (is_wanted && value ? { [name]: value } : {});
  return {
    __name__: result.name,
    ...result.labels,
    ...named("aggregation", result.aggregation, differs((one) => one.aggregation)),
    ...named("window", result.window, differs((one) => one.window)),
  };
}

/** Buckets as lines on the page's grid: a bucket's value holds from its start until its end. */
export function frameOfBuckets(results: readonly JsonResult[], from: number, to: number, step: number): Frame {
  const count = Math.max(0, Math.round((to - from) / step) + 1);
  const times = Array.from({ length: count }, (_, i) => from + i * step);
  const lines = results.slice(0, LINES_MAX).map((result): Line => {
    const values = new Array<number | null>(count).fill(null);
    const width = parseDuration(result.window ?? "") ?? to - from + step;
    for (const { timestamp, value } of result.dataPoints) {
      const start = (timestamp / 1000 - from) / step;
      const number = typeof value === "number" ? value : Number(value ?? NaN);
      // A bucket shorter than a step is at least a point.
      const first = Math.max(0, Math.ceil(start - 1e-9));
      const end = Math.max(first + 1, Math.ceil(start + width / step - 1e-9));
      for (let i = first; i < Math.min(end, count); i += 1) values[i] = Number.isFinite(number) ? number : null;
    }
    const labels = labelsOf(result, results);
    return { key: seriesKey(labels), labels, values };
  });
  return { step, times, lines };
}

export interface Row {
  /** The letter of its query. */
  id: string;
  labels: Labels;
  /** Unix seconds. */
  at: number;
  value: number;
}

/** The newest bucket of each result. */
export function rowsOfBuckets(id: string, results: readonly JsonResult[]): Row[] {
  return results.flatMap((result) => {
    const point = result.dataPoints.at(-1);
    return point === undefined ? [] : [{ id, labels: labelsOf(result, results), at: point.timestamp / 1000, value: Number(point.value ?? NaN) }];
  });
}

/** A mark in the editor. */
export interface Remark extends Problem {
  severity: "error" | "warning" | "info";
}

/** A warning or info of PromQL names its place at its end: `… (1:6)`. `null` when it names none. */
export function remarkIn(query: string, note: string): Remark | null {
  const match = /^([\s\S]*?)\s*\((\d+:\d+)\)$/.exec(note);
  const problem = match === null ? null : problemIn(query, `${match[2]}: ${match[1]}`);
  return problem === null ? null : { ...problem, severity: /^PromQL info/.test(note) ? "info" : "warning" };
}

/** The functions that a metric's type suggests: what a person most likely wants to see of it. */
export function suggestion(metric: string, type: string, seconds: number): string {
  const window = `${Math.max(60, Math.ceil(seconds / 60))}s`;
  if (/_bucket$/.test(metric)) return `sum by (le) (rate(${metric}[${window}]))`;
  if (type === "counter" || /_(total|count|sum)$/.test(metric)) return `rate(${metric}[${window}])`;
  return metric;
}

/** What a heat map asks when the expression is a plain selector: rates of buckets, or of native histograms. Others as they are. */
export function heatQuery(expression: string, seconds: number): string {
  const match = /^\s*([a-zA-Z_:][\w:.]*)\s*(\{[^{}]*\})?\s*$/.exec(expression);
  if (match === null) return expression;
  const [, name = "", matchers = ""] = match;
  const window = `${Math.max(60, Math.ceil(seconds / 60))}s`;
  if (/_bucket$/.test(name)) return `sum by (le) (rate(${name}${matchers}[${window}]))`;
  return `sum(rate(${name}${matchers}[${window}]))`;
}
