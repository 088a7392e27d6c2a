/**
 * What Overview shows, as data: the headline numbers, and the charts of host, process, and the server's own work.
 *
 * `$w` in an expression stands for the window of a rate: ten seconds, or a step when that is longer.
 */
import type { Unit } from "../units/format";

export interface Query {
  expr: string;
  /** Name of the series when the query gives one; otherwise its labels name it. */
  name?: string;
}

export interface PanelSpec {
  id: string;
  title: string;
  unit: Unit;
  queries: readonly Query[];
  /** What to say when nothing has been stored. */
  empty: string;
}

export interface TileSpec {
  title: string;
  unit: Unit;
  expr: string;
  /** A second number, in smaller type: what the first is part of. */
  of?: { expr: string; unit: Unit; text: (value: string) => string };
}

export interface Section {
  title: string;
  panels: readonly PanelSpec[];
}

const OWN = 'job="barograph"';
const NO_HOST = "The host collector has stored nothing in this range.";
const NO_PROCESS = "The process collector has stored nothing in this range.";
const NO_SERVER = "The server has stored none of its own metrics in this range.";

export const TILES: readonly TileSpec[] = [
  { title: "CPU", unit: "percent", expr: `system_cpu_usage{${OWN}}` },
  {
    title: "Memory",
    unit: "percent",
    expr: `system_memory_percentage{${OWN}}`,
    of: { expr: `system_memory_total{${OWN}}`, unit: "bytes", text: (total) => `of ${total}` },
  },
  {
    title: "Load, 1 min",
    unit: "number",
    expr: `system_load_1m{${OWN}}`,
    of: { expr: `system_uptime{${OWN}}`, unit: "seconds", text: (uptime) => `host up ${uptime}` },
  },
  {
    title: "Samples stored",
    unit: "per-second",
    expr: "sum(rate(barograph_ingest_samples_total[$w]))",
  },
  {
    title: "Series in memory",
    unit: "number",
    expr: "sum(barograph_head_series)",
  },
  {
    title: "Server memory",
    unit: "bytes",
    expr: `process_memory_rss{${OWN}}`,
    of: { expr: `process_uptime{${OWN}}`, unit: "seconds", text: (uptime) => `up ${uptime}` },
  },
];

export const SECTIONS: readonly Section[] = [
  {
    title: "Host",
    panels: [
      { id: "host-cpu", title: "CPU", unit: "percent", empty: NO_HOST, queries: [{ expr: `system_cpu_usage{${OWN}}`, name: "busy" }] },
      {
        id: "host-memory",
        title: "Memory",
        unit: "bytes",
        empty: NO_HOST,
        queries: [
          { expr: `system_memory_used{${OWN}}`, name: "used" },
          { expr: `system_memory_total{${OWN}}`, name: "total" },
        ],
      },
      {
        id: "host-load",
        title: "Load",
        unit: "number",
        empty: NO_HOST,
        queries: [
          { expr: `system_load_1m{${OWN}}`, name: "1 min" },
          { expr: `system_load_5m{${OWN}}`, name: "5 min" },
          { expr: `system_load_15m{${OWN}}`, name: "15 min" },
        ],
      },
    ],
  },
  {
    title: "Server process",
    panels: [
      { id: "process-cpu", title: "CPU", unit: "percent", empty: NO_PROCESS, queries: [{ expr: `process_cpu_usage{${OWN}}`, name: "used" }] },
      {
        id: "process-memory",
        title: "Memory",
        unit: "bytes",
        empty: NO_PROCESS,
        queries: [
          { expr: `process_memory_rss{${OWN}}`, name: "resident" },
          { expr: `process_memory_heap_used{${OWN}}`, name: "heap used" },
        ],
      },
      {
        id: "process-loop",
        title: "Event loop, busy",
        unit: "ratio",
        empty: NO_PROCESS,
        queries: [{ expr: `process_eventloop_utilization{${OWN}}`, name: "busy" }],
      },
    ],
  },
  {
    title: "Storing",
    panels: [
      {
        id: "ingest-samples",
        title: "Samples stored, by source",
        unit: "per-second",
        empty: NO_SERVER,
        // Ways in that nobody has used yet are left out.
        queries: [{ expr: "sum by (source) (rate(barograph_ingest_samples_total[$w])) and on (source) (sum by (source) (barograph_ingest_samples_total) > 0)" }],
      },
      { id: "head-series", title: "Series in memory", unit: "number", empty: NO_SERVER, queries: [{ expr: "sum(barograph_head_series)", name: "series" }] },
      {
        id: "wal-fsync",
        title: "Making writes durable",
        unit: "seconds",
        empty: NO_SERVER,
        queries: [
          { expr: "histogram_quantile(0.99, sum by (le) (rate(barograph_wal_fsync_duration_seconds_bucket[$w])))", name: "99 %" },
          { expr: "histogram_quantile(0.5, sum by (le) (rate(barograph_wal_fsync_duration_seconds_bucket[$w])))", name: "median" },
        ],
      },
    ],
  },
  {
    title: "Answering",
    panels: [
      {
        id: "queries",
        title: "Queries answered, by outcome",
        unit: "per-second",
        empty: NO_SERVER,
        queries: [{ expr: "sum by (outcome) (rate(barograph_queries_total[$w]))" }],
      },
      {
        id: "query-time",
        title: "Time of a query",
        unit: "seconds",
        empty: NO_SERVER,
        queries: [
          { expr: "histogram_quantile(0.99, sum by (le) (rate(barograph_query_duration_seconds_bucket[$w])))", name: "99 %" },
          { expr: "histogram_quantile(0.5, sum by (le) (rate(barograph_query_duration_seconds_bucket[$w])))", name: "median" },
        ],
      },
      {
        id: "process-handles",
        title: "Open handles and requests",
        unit: "number",
        empty: NO_PROCESS,
        queries: [
          { expr: `process_handles_active{${OWN}}`, name: "handles" },
          { expr: `process_requests_active{${OWN}}`, name: "requests" },
        ],
      },
    ],
  },
];

/** An expression with its rate window written in. */
export function atStep(expr: string, step: number): string {
  return expr.replaceAll("$w", `${Math.max(10, step)}s`);
}
