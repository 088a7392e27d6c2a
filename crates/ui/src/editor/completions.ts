/** What the editor completes with, in its own words: names, values and facts. A failure is an empty list, never an error. */
import { look } from "../api/client";
import { metricCatalog, metricNames } from "../api/query";
import { quote, type Labels } from "../promql/series";

/** One condition of the selector that is being typed. */
export interface Condition {
  name: string;
  op: string;
  value: string;
}

export interface Completions {
  metrics(): Promise<string[]>;
  labels(metric: string): Promise<string[]>;
  values(label: string, metric: string, conditions: readonly Condition[]): Promise<string[]>;
  series(metric: string): Promise<Labels[]>;
  facts(): Promise<Record<string, { type: string; help: string }[]>>;
}

/** Names and values offered; more than a list can show helps nobody. */
const OFFERED_MAX = 10_000;

export const serverCompletions: Completions = {
  metrics: () => orEmpty(metricNames()),
  labels: (metric) => orEmpty(strings("labels", selector(metric, []))),
  values: (label, metric, conditions) => orEmpty(strings(`label/${escaped(label)}/values`, selector(metric, conditions))),
  series: (metric) => orEmpty(look<Labels[]>("series", { "match[]": metric, limit: OFFERED_MAX }).then(({ data }) => data)),
  facts: () =>
    metricCatalog().then(
      (catalog) => Object.fromEntries([...catalog].map(([name, { type, unit, help }]) => [name, [{ type, help: unit === "" ? help : `${help} (${unit})` }]])),
      () => ({}),
    ),
};

function strings(path: string, match: string): Promise<string[]> {
  return look<string[]>(path, { limit: OFFERED_MAX, ...(match !== "" && { "match[]": match }) }).then(({ data }) => data);
}

function selector(metric: string, conditions: readonly Condition[]): string {
  if (metric === "" && conditions.length === 0) return "";
  const inside = conditions.filter(({ value }) => value !== "").map(({ name, op, value }) => `${name}${op}${quote(value)}`);
  if (metric === "" && inside.length === 0) return "";
  return inside.length === 0 ? metric : `${metric}{${inside.join(",")}}`;
}

/** A label name as the path takes it: what is not a plain name goes in the `U__` form. */
function escaped(label: string): string {
  if (/^[a-zA-Z_]\w*$/.test(label)) return label;
  return `U__${[...label].map((c) => (c === "_" ? "__" : /[a-zA-Z0-9]/.test(c) ? c : `_${(c.codePointAt(0) ?? 0).toString(16)}_`)).join("")}`;
}

const orEmpty = <T>(list: Promise<T[]>): Promise<T[]> => list.catch(() => []);
