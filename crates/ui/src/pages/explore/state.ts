/**
 * The whole view of Explore, read from the URL and written back to it, and the changes a person makes to its list of queries.
 * Pure.
 *
 * A query is one parameter named by its language and letter: `q.B=up`, `json.C={…}`, `formula.D=A / B`; `q` alone is `q.A`. Their
 * order is that of the list.
 */
import type { Labels } from "../../promql/series";
import { seriesText } from "../../promql/series";
import { durationCode, parseDuration } from "../../time/range";
import type { Unit } from "../../units/format";

export type Language = "promql" | "json" | "formula";

export interface Query {
  /** One letter, which stays with it wherever it is moved. */
  id: string;
  language: Language;
  text: string;
  hidden: boolean;
}

/** What is drawn faint behind the answer: the same some time before, or of another version. */
export type Compare = { kind: "previous" } | { kind: "before"; seconds: number } | { kind: "version"; label: string; value: string };

/** Which series are drawn, by letter and labels: all, only those, or all but those. */
export type Chosen = { kind: "all" } | { kind: "only" | "without"; series: readonly string[] };

export const TABS = ["chart", "heatmap", "table"] as const;
export type Tab = (typeof TABS)[number];

export interface ExploreView {
  /** Never empty. */
  queries: readonly Query[];
  tab: Tab;
  /** Seconds; `null` lets the range decide. */
  step: number | null;
  /** `null` lets the metric decide. */
  unit: Unit | null;
  compare: Compare | null;
  chosen: Chosen;
  /** Whether the legend has min, max, avg, last. */
  stats: boolean;
  /** Whether a table has the last value in the range, or that at its end. */
  last: boolean;
  /** The letter of the query whose plan is open. */
  explain: string | null;
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

/** Queries of one view; a chart of more answers none of them. */
export const QUERIES_MAX = 12;

const LETTERS = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
const PARAMETERS: Readonly<Record<Language, string>> = { promql: "q", json: "json", formula: "formula" };
const QUERY_PARAMETER = /^(?:q|(q|json|formula)\.([A-Z]))$/;

export function readExplore(params: URLSearchParams): ExploreView {
  const unit = params.get("unit");
  const step = parseDuration(params.get("step") ?? "");
  const tab = params.get("view");
  const only = params.getAll("only");
  const without = params.getAll("without");
  const queries = readQueries(params);
  const explain = params.get("explain");
  return {
    queries,
    tab: TABS.find((one) => one === tab) ?? "chart",
    step: step !== null && step >= 1 ? Math.round(step) : null,
    unit: unit !== null && Object.hasOwn(UNIT_NAMES, unit) ? (unit as Unit) : null,
    compare: readCompare(params.get("compare") ?? ""),
    chosen: only.length > 0 ? { kind: "only", series: only } : without.length > 0 ? { kind: "without", series: without } : { kind: "all" },
    stats: params.get("stats") === "on",
    last: params.get("value") === "last",
    explain: queries.some((query) => query.id === explain) ? explain : null,
  };
}

function readQueries(params: URLSearchParams): Query[] {
  const hidden = new Set((params.get("hide") ?? "").split(","));
  const queries: Query[] = [];
  for (const [name, text] of params) {
    const match = QUERY_PARAMETER.exec(name);
    if (match === null || queries.length === QUERIES_MAX) continue;
    const id = match[2] ?? "A";
    if (queries.some((query) => query.id === id)) continue;
    const language = (Object.keys(PARAMETERS) as Language[]).find((one) => PARAMETERS[one] === (match[1] ?? "q")) ?? "promql";
    queries.push({ id, language, text, hidden: hidden.has(id) });
  }
  return queries.length > 0 ? queries : [{ id: "A", language: "promql", text: "", hidden: false }];
}

/** The parameters of a view on top of those that are not its own. What is the default is left out. */
export function writeExplore(view: ExploreView, params: URLSearchParams): URLSearchParams {
  const written = new URLSearchParams();
  const own = new Set(["view", "step", "unit", "compare", "only", "without", "stats", "value", "explain", "hide"]);
  for (const [name, value] of params) if (!own.has(name) && !QUERY_PARAMETER.test(name)) written.append(name, value);
  const is_untouched = view.queries.length === 1 && view.queries[0]?.language === "promql" && view.queries[0].text === "";
  if (!is_untouched) {
    for (const { id, language, text } of view.queries) written.append(id === "A" && language === "promql" ? "q" : `${PARAMETERS[language]}.${id}`, text);
  }
  const set = (name: string, value: string | null): void => void (value !== null && value !== "" && written.append(name, value));
  set("hide", view.queries.filter((query) => query.hidden).map((query) => query.id).join(","));
  set("view", view.tab === "chart" ? null : view.tab);
  set("step", view.step === null ? null : durationCode(view.step));
  set("unit", view.unit);
  set("compare", view.compare === null ? null : compareCode(view.compare));
  if (view.chosen.kind !== "all") for (const series of view.chosen.series) written.append(view.chosen.kind, series);
  set("stats", view.stats ? "on" : null);
  set("value", view.last ? "last" : null);
  set("explain", view.explain);
  return written;
}

function readCompare(text: string): Compare | null {
  if (text === "previous") return { kind: "previous" };
  const equals = text.indexOf("=");
  if (equals > 0 && equals < text.length - 1) return { kind: "version", label: text.slice(0, equals), value: text.slice(equals + 1) };
  const seconds = parseDuration(text);
  return seconds !== null && seconds >= 1 ? { kind: "before", seconds: Math.round(seconds) } : null;
}

export function compareCode(compare: Compare): string {
  switch (compare.kind) {
    case "previous":
      return "previous";
    case "before":
      return durationCode(compare.seconds);
    case "version":
      return `${compare.label}=${compare.value}`;
  }
}

/** Points per series that the server refuses to pass; a chosen step below it is made coarser. */
const POINTS_MAX = 11_000;

export function allowedStep(step: number, seconds: number): number {
  return Math.max(step, Math.ceil(seconds / (POINTS_MAX - 1)));
}

type Queries = readonly Query[];

/** A query after `after`, or at the end, with the first letter that is free; the same list when it is full. */
export function added(queries: Queries, query: Omit<Query, "id">, after?: string): Queries {
  const id = LETTERS.find((letter) => !queries.some((one) => one.id === letter));
  if (id === undefined || queries.length >= QUERIES_MAX) return queries;
  const at = after === undefined ? queries.length : queries.findIndex((one) => one.id === after) + 1;
  return queries.toSpliced(at, 0, { ...query, id });
}

/** Without one; of the last one only its text goes. */
export function removed(queries: Queries, id: string): Queries {
  const left = queries.filter((query) => query.id !== id);
  return left.length > 0 ? left : [{ id: "A", language: "promql", text: "", hidden: false }];
}

/** One place up or down. */
export function moved(queries: Queries, id: string, by: -1 | 1): Queries {
  const at = queries.findIndex((query) => query.id === id);
  const to = at + by;
  const query = queries[at];
  if (query === undefined || to < 0 || to >= queries.length) return queries;
  return queries.toSpliced(at, 1).toSpliced(to, 0, query);
}

export function changed(queries: Queries, id: string, change: Partial<Omit<Query, "id">>): Queries {
  return queries.map((query) => (query.id === id ? { ...query, ...change } : query));
}

/** How a link names a series. */
export const seriesName = (id: string, labels: Labels): string => `${id} ${seriesText(labels)}`;

/** What is chosen, when of `all` only `shown` are drawn: named by whichever list is shorter. */
export function chosenOf(all: readonly string[], shown: ReadonlySet<string>): Chosen {
  const off = all.filter((name) => !shown.has(name));
  if (off.length === 0 || off.length === all.length) return { kind: "all" };
  const on = all.filter((name) => shown.has(name));
  return on.length <= off.length ? { kind: "only", series: on } : { kind: "without", series: off };
}

export function isChosen(chosen: Chosen, name: string): boolean {
  if (chosen.kind === "all") return true;
  return chosen.series.includes(name) === (chosen.kind === "only");
}
