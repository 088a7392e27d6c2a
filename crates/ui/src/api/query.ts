/** The questions the pages ask, with their answers in the pages' own words. */
import type { Point, RangeSeries } from "../charts/frame";
import type { Labels } from "../promql/series";
import type { MetricFacts } from "../promql/unit";
import { ask, look, type Answer } from "./client";
import { numberOf, type MetadataData, type QueryData } from "./types";

export interface RangeRequest {
  query: string;
  /** Unix seconds, multiples of `step`. */
  start: number;
  end: number;
  step: number;
  /** Series at most; the server says so when it left some out. */
  limit: number;
}

export interface InstantRow extends Point {
  /** Unix seconds. */
  at: number;
}

export async function queryRange(request: RangeRequest, signal?: AbortSignal): Promise<Answer<RangeSeries[]>> {
  const { data, notes, provenance } = await ask<QueryData>("query_range", { ...request }, signal);
  if (data.resultType !== "matrix") return { data: [], notes, provenance };
  const series = data.result.flatMap(({ metric, values }) => (values ? [{ labels: metric, samples: values }] : []));
  return { data: series, notes: [...notes, ...passedOver(data)], provenance };
}

/** The answer at one moment, one row a series; scalars and strings are one row without labels. */
export async function queryInstant(query: string, time: number, signal?: AbortSignal): Promise<Answer<InstantRow[]>> {
  const { data, notes, provenance } = await ask<QueryData>("query", { query, time }, signal);
  return { data: rowsOf(data), notes: [...notes, ...passedOver(data)], provenance };
}

/** Says that there are native histograms, and what can be done about it. */
function passedOver(data: QueryData): string[] {
  const some =
    (data.resultType === "matrix" && data.result.some(({ histograms }) => histograms !== undefined)) ||
    (data.resultType === "vector" && data.result.some(({ histogram }) => histogram !== undefined));
  return some ? ["native histograms are drawn as a heat map; for lines ask for histogram_quantile, histogram_avg or histogram_count of them"] : [];
}

function rowsOf(data: QueryData): InstantRow[] {
  const row = (labels: Labels, [at, value]: readonly [number, string]): InstantRow => ({ labels, at, value: numberOf(value) });
  switch (data.resultType) {
    case "vector":
      return data.result.flatMap(({ metric, value }) => (value ? [row(metric, value)] : []));
    case "matrix":
      return data.result.flatMap(({ metric, values }) => (values ?? []).map((value) => row(metric, value)));
    case "scalar":
      return [row({}, data.result)];
    case "string":
      return [row({ value: data.result[1] }, [data.result[0], "NaN"])];
  }
}

let catalog: Promise<Map<string, MetricFacts>> | undefined;

/** What the server knows of every metric. Asked once; a failure is forgotten, so the next caller asks again. */
export function metricCatalog(): Promise<Map<string, MetricFacts>> {
  catalog ??= look<MetadataData>("metadata", {}).then(
    ({ data }) => new Map(Object.entries(data).flatMap(([name, [facts]]) => (facts ? [[name, facts] as const] : []))),
    (error: unknown) => {
      catalog = undefined;
      throw error;
    },
  );
  return catalog;
}

export async function metricNames(signal?: AbortSignal): Promise<string[]> {
  return (await look<string[]>("label/__name__/values", {}, signal)).data;
}
