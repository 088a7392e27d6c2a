/** The shapes of the server's answers that the pages read. */
import type { Labels } from "../promql/series";

/** The envelope of `/api/v1`. */
export type Envelope<T> =
  | { status: "success"; data: T; warnings?: string[]; infos?: string[] }
  | { status: "error"; errorType: string; error: string };

/** Time in Unix seconds, value as text (`"NaN"`, `"+Inf"`). */
export type WireSample = [number, string];

/** A native histogram: its time, and its buckets as which of the bounds they hold, from, to, and how many. */
export type WireHistogram = [number, { count: string; sum: string; buckets?: [number, string, string, string][] }];

export type QueryData =
  | { resultType: "matrix"; result: { metric: Labels; values?: WireSample[]; histograms?: WireHistogram[] }[] }
  | { resultType: "vector"; result: { metric: Labels; value?: WireSample; histogram?: WireHistogram }[] }
  | { resultType: "scalar"; result: WireSample }
  | { resultType: "string"; result: WireSample };

export type MetadataData = Record<string, { type: string; help: string; unit: string }[]>;

/** `event: hello` of the live stream. */
export interface Hello {
  version: string;
  /** The server's clock, Unix seconds. */
  now: number;
}

/** `event: points` of the live stream: per query, in their order, its vector or its error. */
export interface LivePoints {
  time: number;
  results: ({ metric: Labels; value: string }[] | { error: string })[];
}

/** A sample value as the server writes it. */
export function numberOf(text: string): number {
  if (text === "+Inf") return Infinity;
  if (text === "-Inf") return -Infinity;
  return Number(text);
}
