/**
 * A document of the JSON query language as the builder edits it, and back. Pure.
 *
 * Whatever the builder has no field for (patterns, unknown keys) is kept as it came. The time range is the page's: one in a
 * document is replaced when it is asked. Specification: `docs/query.md`.
 */
import { JsonError, placeOf, treeOf, type Place } from "./tree";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Object = { [key: string]: Json };

export const CONDITIONS = ["equals", "notEquals", "in", "notIn", "regex", "notRegex", "prefix", "exists"] as const;
export type Condition = (typeof CONDITIONS)[number];

export const AGGREGATIONS = ["AVG", "SUM", "MIN", "MAX", "COUNT", "RATE", "INCREASE", "P50", "P95", "P99", "STDDEV", "FIRST", "LAST"] as const;

export interface Filter {
  label: string;
  condition: Condition;
  /** One value, but for `in` and `notIn`; `true` or `false` for `exists`. */
  values: string[];
}

export interface Aggregation {
  type: string;
  /** A length of time, `auto`, or empty: the time range is one bucket. */
  window: string;
  /** One of the metrics, or empty: all. */
  metric: string;
  alias: string;
  rest: Object;
}

export interface Calculation {
  name: string;
  expression: string;
  rest: Object;
}

export interface Draft {
  metrics: string[];
  filters: Filter[];
  groupBy: string[];
  aggregations: Aggregation[];
  calculations: Calculation[];
  sort: { field: string; order: "ASC" | "DESC" } | null;
  limit: number | null;
  /** Keys of the query that the builder has no field for. */
  rest: Object;
}

export const EMPTY: Draft = {
  metrics: [],
  filters: [],
  groupBy: [],
  aggregations: [{ type: "AVG", window: "auto", metric: "", alias: "", rest: {} }],
  calculations: [],
  sort: null,
  limit: null,
  rest: {},
};

/** What stands in the way of reading a document, and where. */
export interface BadDocument extends Place {
  message: string;
}

/** The text as a draft; a draft of what can be read of it is never made up from what cannot. */
export function readDraft(text: string): Draft | BadDocument {
  if (text.trim() === "") return structuredClone(EMPTY);
  const document = parsed(text);
  if ("message" in document) return document;
  const { query } = document;
  const { metrics, filter, groupBy, aggregations, calculations, sort, limit, ...rest } = query;
  try {
    const other = { ...object(filter, "query.filter") };
    const { dimensions } = other;
    delete other.dimensions;
    delete other.timeRange;
    return {
      metrics: list(metrics, "query.metrics").map((metric, i) => {
        if (typeof metric === "string") return metric;
        const { regex } = object(metric, `query.metrics[${i}]`);
        return `/${string(regex, `query.metrics[${i}].regex`)}/`;
      }),
      filters: Object.entries(object(dimensions, "query.filter.dimensions")).flatMap(([label, value]) => filtersOf(label, value, `query.filter.dimensions.${label}`)),
      groupBy: list(groupBy, "query.groupBy").map((label, i) => string(label, `query.groupBy[${i}]`)),
      aggregations: list(aggregations, "query.aggregations").map((one, i) => {
        const at = `query.aggregations[${i}]`;
        const { type, window, metric, alias, ...more } = object(one, at);
        return { type: string(type, `${at}.type`).toUpperCase(), window: text_(window), metric: text_(metric), alias: text_(alias), rest: more };
      }),
      calculations: list(calculations, "query.calculations").map((one, i) => {
        const at = `query.calculations[${i}]`;
        const { name, expression, ...more } = object(one, at);
        return { name: string(name, `${at}.name`), expression: string(expression, `${at}.expression`), rest: more };
      }),
      sort: sort === null || sort === undefined ? null : sortOf(object(sort, "query.sort")),
      limit: typeof limit === "number" ? limit : null,
      rest: { ...rest, ...(Object.keys(other).length > 0 && { filter: other }) },
    };
  } catch (error) {
    if (!(error instanceof Misfit)) throw error;
    return { message: error.message, ...placeOf(treeOf(text), error.path) };
  }
}

/** The text of a draft, for a person to read. */
export function writeDraft(draft: Draft): string {
  return JSON.stringify({ query: queryOf(draft) }, null, 2);
}

function queryOf(draft: Draft): Object {
  const { filter: other = {}, ...rest } = draft.rest;
  const dimensions: Object = {};
  for (const { label, condition, values } of draft.filters) {
    if (label === "" || (values.every((value) => value === "") && condition !== "exists")) continue;
    dimensions[label] = together(dimensions[label], conditionOf(condition, values));
  }
  const filter = { ...object(other, "query.filter"), ...(Object.keys(dimensions).length > 0 && { dimensions }) };
  const aggregations = draft.aggregations.map(({ type, window, metric, alias, rest: more }) => ({
    type,
    ...(window !== "" && { window }),
    ...(metric !== "" && { metric }),
    ...(alias !== "" && { alias }),
    ...more,
  }));
  return {
    ...(draft.metrics.length > 0 && { metrics: draft.metrics }),
    ...(Object.keys(filter).length > 0 && { filter }),
    ...(draft.groupBy.length > 0 && { groupBy: draft.groupBy }),
    ...(aggregations.length > 0 && { aggregations }),
    ...(draft.calculations.length > 0 && { calculations: draft.calculations.map(({ name, expression, rest: more }) => ({ name, expression, ...more })) }),
    ...(draft.sort !== null && { sort: draft.sort }),
    ...(draft.limit !== null && { limit: draft.limit }),
    ...rest,
  };
}

/** The document with a time range, milliseconds, for the server; or why it cannot be asked. */
export function documentAt(text: string, start_ms: number, end_ms: number): { document: Json } | BadDocument {
  const document = parsed(text);
  if ("message" in document) return document;
  const { query } = document;
  const filter = typeof query.filter === "object" && query.filter !== null && !Array.isArray(query.filter) ? query.filter : {};
  return { document: { query: { ...query, filter: { ...filter, timeRange: { start: start_ms, end: end_ms } } } } };
}

/** The document with one attribute fixed to a value: what it answers of another version. */
export function withDimension(text: string, label: string, value: string): string {
  const draft = readDraft(text);
  if ("message" in draft) return text;
  const filters = draft.filters.filter((filter) => letters(filter.label) !== letters(label));
  return writeDraft({ ...draft, filters: [...filters, { label, condition: "equals", values: [value] }] });
}

/** Attributes are told by their letters: `flowId` is `flow_id` is `flow.id`. */
const letters = (label: string): string => label.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

/** The shortest text that says the same, for a link. */
export function compact(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}

/** With line ends and indents; what is no JSON stays. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function parsed(text: string): { query: Object } | BadDocument {
  try {
    treeOf(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const from = Math.min(error.at, Math.max(0, text.trimEnd().length - 1));
    return { message: error.message, from, to: Math.min(from + 1, text.length) };
  }
  const document = JSON.parse(text) as Json;
  const query = typeof document === "object" && document !== null && !Array.isArray(document) ? document.query : undefined;
  if (typeof query !== "object" || query === null || Array.isArray(query)) return { message: 'expected {"query": {…}}', from: 0, to: text.length };
  return { query };
}

function filtersOf(label: string, value: Json, path: string): Filter[] {
  if (Array.isArray(value)) return [{ label, condition: "in", values: value.map(String) }];
  if (typeof value !== "object" || value === null) return [{ label, condition: "equals", values: [String(value)] }];
  return Object.entries(value).map(([key, wanted]) => {
    const condition = CONDITIONS.find((one) => one === key);
    if (condition === undefined) throw new Misfit(`${path}.${key}`, "no such condition");
    return { label, condition, values: Array.isArray(wanted) ? wanted.map(String) : [String(wanted)] };
  });
}

/** The plain forms where there are ones: `"v"` and `["a", "b"]`. */
function conditionOf(condition: Condition, values: readonly string[]): Json {
  if (condition === "exists") return { exists: values[0] !== "false" };
  const many = values.filter((value) => value !== "");
  const first = many[0] ?? "";
  if (condition === "in") return many;
  if (condition === "notIn") return { notIn: many };
  return condition === "equals" ? first : { [condition]: first };
}

/** Two conditions on one attribute, which both have to hold. */
function together(before: Json | undefined, now: Json): Json {
  if (before === undefined) return now;
  const explicit = (value: Json): Object => (Array.isArray(value) ? { in: value } : typeof value === "object" && value !== null ? value : { equals: value });
  return { ...explicit(before), ...explicit(now) };
}

function sortOf(sort: Object): Draft["sort"] {
  return { field: string(sort.field, "query.sort.field"), order: text_(sort.order).toUpperCase() === "DESC" ? "DESC" : "ASC" };
}

class Misfit extends Error {
  constructor(
    readonly path: string,
    message: string,
  ) {
    super(`${path}: ${message}`);
  }
}

function list(value: Json | undefined, path: string): Json[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new Misfit(path, "expected a list");
  return value;
}

function object(value: Json | undefined, path: string): Object {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw new Misfit(path, "expected an object");
  return value;
}

function string(value: Json | undefined, path: string): string {
  if (typeof value !== "string") throw new Misfit(path, "expected text");
  return value;
}

const text_ = (value: Json | undefined): string => (value === undefined || value === null ? "" : typeof value === "number" ? `${value}ms` : String(value));
