/** What only Explore asks: documents of the JSON query language, plans, histograms, and the catalog with its figures. */
import type { Labels } from "../promql/series";
import { ask, type Answer, type Provenance } from "./client";
import { call } from "./own";
import type { QueryData, WireHistogram } from "./types";

/** One result of a JSON query: times in milliseconds, at the starts of buckets. */
export interface JsonResult {
  name: string;
  aggregation?: string | null;
  /** A length of time: the width of a bucket. */
  window?: string | null;
  labels: Labels;
  dataPoints: readonly { timestamp: number; value: number | string | null }[];
}

interface JsonReply {
  results: JsonResult[];
  meta: { tier: string; reason: string; cached: boolean; points_read: number; took_ms: number; warnings: string[] };
}

/** `document` as the server takes it: `{"query": {…}}`. */
export async function queryJson(document: unknown, signal?: AbortSignal): Promise<Answer<JsonResult[]>> {
  const { results, meta } = await call<JsonReply>("query", json(document, signal));
  const provenance: Provenance = { tier: meta.tier, reason: meta.reason, cached: meta.cached, samples: meta.points_read, took_ms: meta.took_ms };
  return { data: results, notes: meta.warnings, provenance };
}

/** What to explain: an expression over a range, or a document. */
export type Asked = { query: string; start: number; end: number; step: number } | { document: unknown };

export interface PlanNode {
  operation: string;
  text: string;
  /** Half-open range of the expression's text, in bytes of UTF-8; `null` where it has no part of its own. */
  from: number | null;
  to: number | null;
  detail: string | null;
  tier: string | null;
  reason: string | null;
  range: unknown;
  estimate: { series: number; samples: number } | null;
  actual: { series: number; samples: number; took_ms: number } | null;
  children: PlanNode[];
}

export interface Explanation {
  language: string;
  expression: string;
  step: number | null;
  steps: number | null;
  analyzed: boolean;
  plan: PlanNode;
  total: { series: number; samples: number; bytes: number; took_ms: number } | null;
  /** The same as PromQL, where that can say it. */
  promql: string | null;
  /** The same as a JSON document, where that can say it. */
  json: unknown;
  warnings: string[];
  infos: string[];
}

export function explain(asked: Asked, analyze: boolean, signal?: AbortSignal): Promise<Explanation> {
  if ("document" in asked) return call("query/explain", json(asked.document, signal), analyze ? { analyze: "true" } : {});
  const form = new URLSearchParams({ query: asked.query, start: String(asked.start), end: String(asked.end), step: String(asked.step), ...(analyze && { analyze: "true" }) });
  return call("query/explain", { method: "POST", body: form, ...(signal && { signal }) });
}

/** One series of native histograms. */
export interface HistogramSeries {
  labels: Labels;
  samples: readonly (readonly [number, string])[];
  histograms: readonly WireHistogram[];
}

/** A range answer with its histograms. */
export async function queryHistograms(request: { query: string; start: number; end: number; step: number; limit: number }, signal?: AbortSignal): Promise<Answer<HistogramSeries[]>> {
  const { data, ...rest } = await ask<QueryData>("query_range", { ...request }, signal);
  if (data.resultType !== "matrix") return { data: [], ...rest };
  return { data: data.result.map(({ metric, values, histograms }) => ({ labels: metric, samples: values ?? [], histograms: histograms ?? [] })), ...rest };
}

/** A metric of the catalog, with how much there is of it. */
export interface CatalogMetric {
  name: string;
  type: string;
  unit: string;
  help: string;
  labels: string[];
  versions: unknown[];
  active_series: number;
  /** Unix seconds. */
  last_seen: number | null;
}

export async function catalogMetrics(signal?: AbortSignal): Promise<CatalogMetric[]> {
  return (await call<{ metrics: CatalogMetric[] }>("catalog", signal ? { signal } : {})).metrics;
}

function json(document: unknown, signal: AbortSignal | undefined): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(document), ...(signal && { signal }) };
}
