/** What the Diagnostics tab asks for, made up: a disk that is slow, and an incident about it. */
const NODE = "node-1";
const iso = (ms) => new Date(ms).toISOString();
const now = () => Date.now();

/** The answer to a path below `/api/barograph/v1/diagnostics/`, or `null`. */
export function diagnostics(path, method) {
  if (path === "analysis") return method === "POST" ? analysis(now()) : { analysis: [analysis(now() - 62_000)], kept: 1, kept_max: 100, dropped: 0 };
  if (path === "trace" || path === "traces") return { traces: [trace()] };
  if (path === "alerts") return { alerts: [alert("wal_fsync_p95_ms", 182, 100, "max", "warning", 61_000), alert("disk_free_percent", 3.7, 5, "min", "critical", 3_700_000)] };
  if (path === "incidents") return { incidents: [incident(2, "open", 20_000), incident(1, "closed", 7_300_000)], kept_max: 20, bytes_max: 262_144, dropped: 0 };
  return path === "state" ? state() : null;
}

const alert = (metric_name, current_value, threshold_value, threshold_type, severity, ago) => ({ metric_name, current_value, threshold_value, threshold_type, severity, node: NODE, timestamp: iso(now() - ago) });
const incident = (id, state, ago) => ({ id, state, opened_at: iso(now() - ago), closed_at: state === "open" ? null : iso(now() - ago + 60_000), causes: [{ kind: "threshold", text: "wal_fsync_p95_ms is 182, above 100", timestamp: iso(now() - ago) }], more_causes: id === 1 ? 4 : 0 });

function analysis(at) {
  return {
    component: "server", analysis_type: "bottleneck_detection", duration_ms: 5003,
    results: {
      bottlenecks: ["disk_io"], recommendations: ["Put the data directory on a faster disk, or collect less often: the log waits 182 ms for each commit."], performance_score: 78.5,
      score_parts: [{ input: "latency_p95_ms", value: 210, good: 100, bad: 1000, weight: 2, score: 87.8 }, { input: "error_rate", value: 0.002, good: 0.001, bad: 0.05, weight: 3, score: 98 }, { input: "fsync_p95_ms", value: 182, good: 20, bad: 250, weight: 1, score: 29.6 }],
      findings: [{ bottleneck: "disk_io", component: "wal", figure: "fsync_p95_ms", value: 182, limit: 100, unit: "ms", evidence: "The slowest in twenty commits took 182 ms." }],
      trends: [],
    },
    node: NODE, timestamp: iso(at),
  };
}

function trace() {
  const stage = (name, calls, total_ms, max_ms) => ({ stage: name, calls, total_ms, max_ms });
  const request = (route, took_ms) => ({ timestamp: iso(now() - 400), method: "POST", route, status: 200, took_ms, trace_id: "4bf92f3577b34da6a3ce929d0e0e4736", stages: [["parse", 0.2], ["commit", took_ms * 0.8]] });
  return { component: "server", trace_type: "request_stages", data: { function_calls: 412, memory_allocations: null, gc_collections: 0, message_queue_length: 3, message_queue_unit: "requests", duration_ms: 1002, stages: [stage("commit", 40, 3_200, 190), stage("evaluate", 92, 411, 62), stage("parse", 280, 14, 0.4)], requests: [request("/api/v1/write", 211), request("/api/v1/query_range", 74)], requests_left_out: 38 }, node: NODE, timestamp: iso(now() - 60_000) };
}

function state() {
  return { snapshot_type: "memory_usage", state_data: { total_memory: 2.5e10, used_memory: 1.1e10, process_count: 61, os_process_count: 214, largest_processes: [{ pid: 811, memory: 2.1e9, name: "postgres" }, { pid: 4120, memory: 2.2e8, name: "barograph" }], memory_budget: 5.4e8, memory_accounts: { head: 8.1e7, caches: 4.4e7, queries: 1e6 }, series: 12_480, wal_pending_bytes: 2048, read_only: false, queries_running: 2, queries_waiting: 0, open_streams: 3, missing: [] }, node: NODE, timestamp: iso(now()) };
}
