/** What the Admin pages ask for, made up: a store of a few weeks, and backups that can be made. */
import { STARTED } from "./series.js";

const GIB = 1024 ** 3;
const DAY = 86_400;
const now = () => Math.floor(Date.now() / 1000);

const backups = [{ id: 1, time: STARTED - DAY, type: "full", files: 41, bytes: 5.1 * GIB }];

/** The answer to a path below `/api/barograph/v1/`, or `null`. */
export function admin(path, method, params) {
  if (path === "storage/stats") return storage();
  if (path === "cardinality") return cardinality(Number(params.get("limit") ?? 20));
  if (path === "queries") return queries();
  if (path === "admission") return admission();
  if (path === "config/reload") return { successful: true, running_since: new Date(STARTED * 1000).toISOString(), failed_at: null, error: null, needs_restart: [] };
  if (/^queries\/\d+$/.test(path) && method === "DELETE") return stopped(Number(path.slice("queries/".length)));
  if (path !== "backup") return null;
  if (method === "GET") return { backups: [...backups].reverse(), unreadable: [] };
  const made = { id: backups.length + 1, time: now(), type: "full", files: 43, bytes: 5.2 * GIB };
  backups.push(made);
  return { ...made, copied_files: 2, copied_bytes: 0.1 * GIB, damaged: [], removed: 0 };
}

function admission() {
  const one = (name, limit, in_flight, waiting, admitted, refused) => ({ class: name, limit, in_flight, waiting, admitted, refused });
  const classes = [one("health", null, 1, 0, 88_120, 0), one("alerts", null, 0, 0, 4_410, 0), one("ingest", 240, 31, 0, 1_204_511, 0), one("query", 64, 64, 12, 402_118, 37)];
  return { classes, in_flight: 96, total: 1_000 };
}

function storage() {
  const level = (name, granularity_seconds, days, kept, files, gib, points) => ({
    level: name,
    granularity_seconds,
    retention_seconds: kept * DAY,
    files,
    bytes: gib * GIB,
    index_bytes: gib * GIB * 0.04,
    points,
    bytes_per_point: (gib * GIB) / points,
    oldest: now() - days * DAY,
    newest: now() - 5400,
  });
  const levels = [level("raw", null, 1, 1, 13, 1.1, 1.07e9), level("1m", 60, 7, 7, 9, 0.8, 1.25e8), level("5m", 300, 22, 30, 24, 0.5, 7.9e7), level("1h", 3600, 22, 365, 3, 0.06, 6.6e6)];
  return {
    time: now(),
    totalSize: 2.9 * GIB,
    levels,
    compression_ratio: 14.5,
    memory: { series: 12_480, points: 4.4e7, bytes: 0.08 * GIB, oldest: now() - 7200, newest: now() },
    wal: { bytes: 0.44 * GIB, segments: 8, pending_bytes: 2048, commits: 88_121, syncs: 88_121, failures: 0, read_only: false },
    compactions: { blocks_cut: 264, blocks_merged: 240, blocks_deleted: 19 },
    damage: { set_aside: 0, blocks_damaged: 0 },
    projected: { bytes: 4.1 * GIB, levels: { raw: 1.1 * GIB, "1m": 0.8 * GIB, "5m": 0.7 * GIB, "1h": 1 * GIB } },
    disk: { total_bytes: 60 * GIB, free_bytes: 2.1 * GIB, forecast: { state: "full_at", history_seconds: 7 * DAY, growth_bytes_per_day: 0.11 * GIB, full_at: now() + 19 * DAY } },
  };
}

function cardinality(limit) {
  const metric = (name, series, created_last_hour, labels) => ({
    metric: name,
    series,
    share: series / 12_480,
    limit: 200_000,
    created_last_hour,
    created_since_start: series + 400,
    labels: labels.map(([label, values]) => ({ label, values })),
  });
  const metrics = [
    metric("http_requests_total", 4_000, 120, [["path", 512], ["instance", 40], ["status", 9]]),
    metric("http_request_duration_seconds_bucket", 3_360, 64, [["path", 96], ["le", 14]]),
    metric("queue_messages", 900, 0, [["queue", 90]]),
  ].slice(0, limit);
  return {
    series: { active: 12_480, limit: 1_000_000, room: 987_520, created_last_hour: 184, created_since_start: 13_900, matched: 12_480, examined: 12_480 },
    limits: { series: 1_000_000, series_per_metric: 200_000, values_per_label: 50_000 },
    metrics,
    growth: metrics.map(({ metric, series, created_last_hour, created_since_start }) => ({ metric, series, created_last_hour, created_since_start })),
    labels: [{ label: "path", values: 512, value_bytes: 20_480 }, { label: "queue", values: 90, value_bytes: 1_210 }],
    metric_labels: [{ metric: "http_requests_total", label: "path", values: 512, limit: 50_000 }],
    pairs: [{ label: "job", value: "api", series: 7_360 }, { label: "job", value: "queue", series: 900 }],
    overflow: {
      samples: 12_345,
      merged: 12_000,
      refused: 0,
      offenders: [{ metric: "http_requests_total", label: "path", limit: "values_per_label", samples: 12_345, merged: 12_000, example: "/users/83412/orders/2026-11-21", first: STARTED, last: now() - 60 }],
    },
  };
}

const RUNNING = new Map([
  [812, { id: 812, expression: 'topk(10, sum by (path) (rate(http_requests_total[30d])))', caller: "grafana", dashboard: "shop-overview", panel: "7", began: Date.now() }],
  [815, { id: 815, expression: "count by (__name__) ({__name__=~\".+\"})", caller: "127.0.0.1", dashboard: null, panel: null, began: Date.now() }],
]);

function stopped(id) {
  return RUNNING.delete(id) ? {} : null;
}

function queries() {
  const node = (operation, text, took_ms, children = []) => ({ operation, text, from: null, to: null, detail: null, tier: children.length === 0 ? "raw" : null, reason: null, range: null, estimate: { series: 4_000, samples: 1.4e7 }, actual: { series: 3_912, samples: 1.32e7, took_ms }, children });
  const plan = node("aggregation", "topk(10, sum by (path) (rate(http_requests_total[1d])))", 1_932, [node("call", "rate(http_requests_total[1d])", 1_870, [node("selector", "http_requests_total[1d]", 1_204)])]);
  const slow = (id, expression, took_ms, outcome, plan) => ({ id, expression, caller: "grafana", dashboard: "shop-overview", panel: "7", at: Date.now() - id * 400, start: Date.now() - 8.64e7, end: Date.now(), step: 60_000, took_ms, samples: 1.32e7, tier: "raw", outcome, plan });
  return {
    running: [...RUNNING.values()].map(({ began, ...query }) => ({ ...query, since_ms: Date.now() - began, samples: 4.1e6, state: query.id === 812 ? "running" : "waiting" })),
    slow: [slow(790, "topk(10, sum by (path) (rate(http_requests_total[1d])))", 1_932, "ok", plan), slow(744, "sum(http_requests_total) * on() group_left() up", 30_000, "timeout", null)],
  };
}
