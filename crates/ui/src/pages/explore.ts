/** What Explore reads from the URL, and how a vector becomes a table. Pure. */
import type { Labels } from "../promql/series";
import { seriesText } from "../promql/series";
import { parseDuration } from "../time/range";
import type { Column } from "../ui/table";
import type { Unit } from "../units/format";

export interface ExploreView {
  query: string;
  show: "chart" | "table";
  /** Seconds; `null` lets the range decide. */
  step: number | null;
  /** `null` lets the metric decide. */
  unit: Unit | null;
}

export const UNIT_NAMES: Readonly<Record<Unit, string>> = {
  number: "plain number",
  bytes: "bytes",
  "bytes/s": "bytes a second",
  seconds: "seconds",
  percent: "percent (0 to 100)",
  ratio: "ratio (0 to 1)",
  "per-second": "a second",
  celsius: "degrees Celsius",
  time: "time",
};

export const STEPS: readonly number[] = [1, 5, 15, 60, 300, 3600];

export function readExplore(params: URLSearchParams): ExploreView {
  const unit = params.get("unit");
  const step = parseDuration(params.get("step") ?? "");
  return {
    query: params.get("q") ?? "",
    show: params.get("view") === "table" ? "table" : "chart",
    step: step !== null && step >= 1 ? Math.round(step) : null,
    unit: unit !== null && unit in UNIT_NAMES ? (unit as Unit) : null,
  };
}

/** Points per series that the server refuses to pass; a chosen step below it is made coarser. */
const POINTS_MAX = 11_000;

export function allowedStep(step: number, seconds: number): number {
  return Math.max(step, Math.ceil(seconds / (POINTS_MAX - 1)));
}

export interface Row {
  labels: Labels;
  at: number;
  value: number;
}

/** Label columns that fit beside each other; with more, the series is one text. */
const LABEL_COLUMNS_MAX = 6;

/** One column for each label that tells rows apart, else the whole series; and what all rows share. */
export function columnsOf(rows: readonly Row[]): { columns: Column[]; shared: Labels } {
  const value: Column = { id: "value", title: "Value", number: true };
  const first = rows[0]?.labels ?? {};
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.labels)))].sort();
  const shared = Object.fromEntries(names.filter((name) => rows.every((row) => row.labels[name] === first[name])).map((name) => [name, first[name] ?? ""]));
  const telling = names.filter((name) => !(name in shared));
  if (rows.length < 2 || telling.length === 0 || telling.length > LABEL_COLUMNS_MAX) {
    return { columns: [{ id: "series", title: "Series", wide: true }, value], shared: rows.length < 2 ? {} : shared };
  }
  const columns = telling.map((name, i) => ({ id: `label ${name}`, title: name === "__name__" ? "Metric" : name, ...(i === telling.length - 1 && { wide: true }) }));
  return { columns: [...columns, value], shared };
}

/** What a cell of a label column says. */
export function cellText(row: Row, column: string): string {
  return column === "series" ? seriesText(row.labels) : (row.labels[column.slice("label ".length)] ?? "");
}
