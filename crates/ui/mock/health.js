/**
 * What the Health pages ask for, made up as functions of time: clients of every pattern, some of them ill; components, one of
 * them slow; checks, one of which fails now and then.
 */
const STARTED = Date.now() - 3 * 3600_000;
const DEMO = [
  ["web-1", "ordinary", 4, 0.001],
  ["web-2", "ordinary", 3.2, 0],
  ["mobile-gateway", "chatty", 24, 0.004],
  ["report-batch", "bulk", 0.4, 0],
  ["legacy-importer", "error-prone", 1.3, 0.22],
  ["wall-display", "slow-consumer", 0.2, 0],
  ["editor-7", "churning", 0.9, 0.01],
  ["night-job", "idle", 0, 0],
  ["grafana", "ordinary", 6.5, 0.002],
  ["10.0.4.17", "ordinary", 0.1, 0],
];
const METHODS = ["GET /api/v1/query", "POST /api/v1/query_range", "POST /api/v1/write", "GET /api/barograph/v1/live", "GET /health/clients", "barograph.v1.Query/Instant", "barograph.v1.Events/Subscribe"];
const CATEGORIES = ["conversion", "serialization", "network", "internal", "timeout", "client", "server"];
const METRICS = /^(performance|errors|resources|server)$/;

let more_clients = 0;
const lacking = new Set();

/** `POST /mock/clients?count=N` adds so many clients; `POST /mock/lacks?path=health/components` makes an older server. */
export function arrange(path, params) {
  if (path === "/mock/clients") more_clients = Number(params.get("count") ?? 0);
  else if (path === "/mock/lacks") for (const one of params.getAll("path")) lacking.add(one);
  else return false;
  if (path === "/mock/lacks" && params.get("path") === null) lacking.clear();
  return true;
}

const now = () => Date.now();
const iso = (ms) => new Date(ms).toISOString();
const age = () => (now() - STARTED) / 1000;
const wave = (period, phase = 0) => 0.5 + 0.5 * Math.sin(((now() / 1000 + phase) / period) * 2 * Math.PI);

/** The answer to a path below `/health/` or `/api/barograph/v1/health/`, as `{ status, document }`, or `null`. */
export function health(path, params) {
  if (lacking.has(`health/${path}`)) return null;
  if (path === "clients") return found(list(params));
  if (path.startsWith("clients/")) return one(decodeURIComponent(path.slice("clients/".length)));
  if (METRICS.test(path)) return found({ performance, errors, resources, server }[path]());
  const document = { components, checks, cluster, history, heartbeats, system }[path]?.(params);
  return document === undefined ? null : found(document);
}

const found = (document) => ({ status: 200, document });

function clientsNow() {
  const made = Array.from({ length: more_clients }, (_, i) => [`client-${String(i).padStart(5, "0")}`, ["ordinary", "idle", "chatty", "bulk"][i % 4], (i % 37) / 10, i % 53 === 0 ? 0.3 : 0.001]);
  return [...DEMO, ...made];
}

function line([id, pattern, rate, failing], i) {
  const seconds = Math.min(age(), 600 + 1400 * (i % 9));
  const score = Math.max(0, 100 - failing * 160 - (pattern === "slow-consumer" ? 14 + 6 * wave(20) : 0) - (failing > 0 ? 8 * wave(40, i) : 0));
  return {
    "client-id": id,
    "connected-duration-hours": seconds / 3600,
    "api-calls": Math.round(rate * seconds),
    "events-received": Math.round((pattern === "idle" ? 0 : 0.8) * seconds),
    "queue-health": pattern === "slow-consumer" ? "critical" : pattern === "churning" ? "warning" : "healthy",
    state: "connected",
    "client-health-score": score,
    pattern,
    cost: rate * (1 + 10 * failing) + (pattern === "bulk" ? 12 : 0) + (pattern === "slow-consumer" ? 31 : 0),
  };
}

const gone = () => ({ ...line(["deploy-hook", "ordinary", 0.05, 0], 3), state: "disconnected", "client-health-score": 96 });

function summary() {
  return { "uptime-hours": age() / 3600, "clients-connected": clientsNow().length, "clients-peak": clientsNow().length + 4, "api-calls-total": Math.round(41.6 * age()), "api-success-rate": 0.9934, "events-sent": Math.round(88 * age()), "bytes-transferred-gb": 0.0011 * age() };
}

function list(params) {
  const clients = clientsNow().map(line);
  if (params.get("finished") === "true") clients.push(gone());
  return { server: summary(), clients, total: clients.length, offset: 0 };
}

function one(id) {
  const known = [...clientsNow().entries()].find(([, [name]]) => name === id);
  const whole = id === "deploy-hook" ? gone() : known && line(known[1], known[0]);
  if (whole === undefined) return { status: 404, document: { status: 404, title: "Not Found", detail: `there is no client "${id}", and none went not long ago` } };
  const [, pattern, , failing] = known?.[1] ?? [id, "ordinary", 0.05, 0];
  const slow = pattern === "slow-consumer";
  const calls = whole["api-calls"];
  const failure = Math.round(calls * failing);
  const depth = slow ? Math.round(700 + 324 * wave(12)) : 0;
  const connected = now() - whole["connected-duration-hours"] * 3600_000;
  const raw = {
    "connected-at": iso(connected), "last-activity-time": iso(now() - 400), "api-calls-total": calls, "api-calls-success": calls - failure, "api-calls-failure": failure, "last-api-call": iso(now() - 400),
    "last-api-method": METHODS[1], "slowest-api-call-ms": 412, "fastest-api-call-ms": 1, "concurrent-api-calls-current": 1, "concurrent-api-calls-peak": 6,
    "events-sent": whole["events-received"] + (slow ? Math.round(age() * 5) : 0), "events-dropped": slow ? Math.round(age() * 4.2) : 0, "server-events-received": whole["events-received"], "piece-events-received": 0,
    "connect-events-received": 12, "disconnect-events-received": 9, "last-event-time": iso(now() - 900), "last-event-type": "server-event",
    "queue-size-current": depth, "queue-size-peak": slow ? 1024 : 14, "queue-overflow-count": slow ? Math.round(age() / 30) : 0, "queue-overflow-total-events-dropped": slow ? Math.round(age() * 4.2) : 0,
    "queue-offer-attempts": 40_000, "queue-offer-successes": 31_000, "queue-consumer-lag-ms": slow ? Math.round(900 + 600 * wave(12)) : 2,
    "bytes-sent": Math.round(calls * 9_200), "bytes-received": Math.round(calls * 610), "bytes-events": 88_210, "bytes-api-requests": calls * 610, "bytes-api-responses": calls * 9_200, "largest-request-bytes": 18_220, "largest-response-bytes": 402_112, "largest-event-bytes": 1_812,
    "network-errors": 0, "serialization-errors": failure > 0 ? 3 : 0, "conversion-errors": 0, "timeout-errors": failure > 0 ? 11 : 0, "last-error-time": failure > 0 ? iso(now() - 21_000) : null, "last-error-message": failure > 0 ? "HTTP 400" : null,
    "subscription-add-count": 3, "subscription-remove-count": 1, "peak-subscription-count": 3,
  };
  const part = (value, weight) => ({ value, weight });
  return found({
    ...whole,
    ...(whole.state === "disconnected" && { "disconnected-at": iso(now() - 95_000), cause: "graceful" }),
    "event-queue": { capacity: 1024, policy: "drop-oldest", "bytes-waiting": depth * 180 },
    "piece-subscriptions": ["cluster_health", "performance"],
    raw,
    derived: {
      "api-success-rate": calls === 0 ? null : 1 - failing, "response-time-range-ms": 411, "event-delivery-reliability": slow ? 0.41 : 1, "queue-health-score": slow ? 52 : 100, "client-health-score": whole["client-health-score"],
      "performance-trend-7d": failing > 0.1 ? { "p95-latency": { direction: "degrading", "slope-per-hour": 0.2, "change-percent": 18, samples: 400 }, throughput: { direction: "stable", "slope-per-hour": 0, "change-percent": 1.2, samples: 400 }, "error-rate": { direction: "improving", "slope-per-hour": -0.01, "change-percent": -12, samples: 400 } } : null,
      "connection-duration-ms": now() - connected, "api-call-frequency-hz": 3.1, "event-consumption-rate-hz": 0.8, "active-subscription-count": 2,
      "api-method-usage-map": Object.fromEntries(METHODS.slice(0, 4).map((name, i) => [name, Math.round(calls / (i + 2))])), "session-pieces-accessed": ["performance"],
    },
    "score-parts": { "client-health-score": { "api-success-rate": part(calls === 0 ? null : 1 - failing, 0.4), "event-delivery-reliability": part(slow ? 0.41 : 1, 0.3), "queue-health": part(slow ? 0.52 : 1, 0.2), "error-free": part(failure > 0 ? 0.07 : null, 0.1) } },
    captured: { "bytes-queued": 0, "bytes-queued-current": 0, "failed-writes": 0, "other-events-received": 0 },
  });
}

const times = (scale) => ({ "fastest-ms": 0, "slowest-ms": Math.round(900 * scale), "avg-ms": 14 * scale, "p50-ms": (6 + 3 * wave(30)) * scale, "p90-ms": 48 * scale, "p95-ms": (80 + 60 * wave(50)) * scale, "p99-ms": (260 + 120 * wave(70)) * scale, "calls-per-second": 41.6 * scale });

function performance() {
  const queued = Math.round(88 * age() + 300 * wave(40));
  const dropped = Math.round(4.2 * age());
  return {
    api: { ...times(1), "calls-total": Math.round(41.6 * age() + 40 * wave(30)), "success-rate": 0.9934, "calls-per-hour": 149_000, "peak-calls-per-minute": 3_120, "concurrent-current": Math.round(4 * wave(9)), "concurrent-peak": 31 },
    events: {
      pipeline: { published: Math.round(9.5 * age()), queued, attempted: queued - dropped, delivered: queued - dropped - 12, dropped },
      "delivery-success-rate": 0.952, "lag-max-ms": Math.round(900 + 600 * wave(12)), overflows: Math.round(age() / 30),
      queues: { healthy: clientsNow().length - 2, warning: 1, critical: 1, fill: 0.07 + 0.02 * wave(12) },
      pieces: [{ piece: "performance", subscribers: 6, events: 8_211 }, { piece: "cluster_health", subscribers: 4, events: 1_022 }, { piece: "orders/eu", subscribers: 2, events: 90 }],
    },
    methods: Object.fromEntries(METHODS.map((name, i) => [name, { calls: Math.round((41.6 / (i + 1)) * age()), success: Math.round((41 / (i + 1)) * age()), failure: i === 0 ? Math.round(0.2 * age()) : 0, "success-rate": i === 0 ? 0.981 : 1, ...times(1 / (i + 1)), "bytes-requests": 91_000 * (i + 1), "bytes-responses": 8_400_000 / (i + 1) }])),
    transactions: { "checkout.commit": { started: 8_110, committed: 8_013, retries: 241, aborted: 97, "avg-ms": 12.4, "retries-per-commit": 0.03 } },
    serialization: { errors: 3 },
    streams: { open: 7, "failed-writes": 12 },
  };
}

function errors() {
  const count = (per_second) => Math.round(per_second * age());
  const categories = { conversion: 2, serialization: 3, network: 14, internal: 0, timeout: count(0.01), client: count(0.2), server: count(0.03) };
  const calls = 41.6 * age();
  const all = Object.values(categories).reduce((sum, one) => sum + one, 0);
  const since = now() % 30_000;
  return {
    ...Object.fromEntries(CATEGORIES.map((name) => [`${name}-errors-total`, categories[name]])),
    "last-error-time": iso(now() - since), "error-free-duration-ms": since, "longest-error-free-period-ms": 1_422_000,
    rates: { "error-rate": all / calls, ...Object.fromEntries(CATEGORIES.map((name) => [`${name}-error-rate`, categories[name] / calls])) },
    categories, "grpc-status": { UNAVAILABLE: 14, DEADLINE_EXCEEDED: categories.timeout }, "http-status": { 400: categories.client - 40, 404: 40, 500: categories.server },
    groups: [{ category: "client", method: METHODS[0], count: categories.client }, { category: "server", method: METHODS[2], count: categories.server }, { category: "timeout", method: METHODS[1], count: categories.timeout }],
    recent: Array.from({ length: 8 }, (_, i) => ({ time: iso(now() - since - i * 7_300), category: ["client", "server", "timeout", "network"][i % 4], method: i % 4 === 3 ? null : METHODS[i % 4], "client-id": ["legacy-importer", "web-1", "mobile-gateway", "wall-display"][i % 4], message: ["HTTP 400", "HTTP 500", "deadline exceeded after 30 s", "connection reset by peer"][i % 4], "trace-id": i % 2 === 0 ? "4bf92f3577b34da6a3ce929d0e0e4736" : null })),
  };
}

const load_parts = () => ({ cpu: { value: 0.3 + 0.2 * wave(20), weight: 0.35 }, memory: { value: 0.46, weight: 0.25 }, "worker-busy": { value: null, weight: 0.2 }, "queue-fill": { value: 0.08, weight: 0.2 } });
const usage = () => ({ "memory-usage-current-bytes": 2.1e8 + 1e7 * wave(30), "memory-usage-peak-bytes": 2.6e8, "thread-pool-active-count": 2, "thread-pool-usage-peak": 9, "thread-pool-queue-size": 0, "queue-memory-usage-total-bytes": 182_000 });

function resources() {
  return { ...usage(), "system-load-score": 34 + 8 * wave(20), queues: { healthy: 8, warning: 1, critical: 1, capacity: 1024, fill: 0.08 }, network: { "bytes-transferred-total": 1.2e9, "bytes-api-requests-total": 2e8, "bytes-api-responses-total": 9e8, "bytes-events-total": 1e8, "bytes-per-second": 1.1e5 }, clients: { current: clientsNow().length, peak: clientsNow().length + 4 }, "score-parts": { "system-load-score": load_parts() }, "limits-hit": { clients: 0 } };
}

function server() {
  const trend = (direction, change) => ({ direction, "slope-per-hour": 0.01, "change-percent": change, samples: 1_440 });
  const score = 91 + 4 * wave(25);
  return {
    server: {
      ...summary(),
      raw: { "server-restart-count": 3, "api-calls-failure": Math.round(0.25 * age()) },
      derived: { ...usage(), "server-health-score": score, "system-load-score": 36, "performance-trend-24h": { "p95-latency": trend("degrading", 12), throughput: trend("stable", 0.4), "error-rate": trend("improving", -8) }, "collaborative-effectiveness": 0.66, "subscription-churn-rate-per-hour": 41, "collaborative-sessions-active": 2, "pieces-with-multiple-subscribers": 3 },
      "score-parts": { "server-health-score": { "api-success-rate-overall": { value: 0.9934, weight: 0.3 }, "event-delivery-success-rate": { value: 0.952, weight: 0.2 }, "queue-health": { value: 0.85, weight: 0.15 }, latency: { value: 1, weight: 0.15 }, "error-free": { value: 0.4 + 0.4 * wave(25), weight: 0.1 }, "graceful-disconnects": { value: null, weight: 0.1 } }, "system-load-score": load_parts() },
      "limits-hit": { clients: 0 },
    },
  };
}

const NODE = "node-1";

function components() {
  const slow = 120 + 240 * wave(60);
  const component = (name, status, found, seconds_ago = 2) => {
    const details = { ...found, checks: { [name]: status }, since: iso(now() - 36_000), score: status === "healthy" ? 100 : 62, score_parts: [] };
    return { component: name, node: NODE, status, details, last_check: iso(now() - seconds_ago * 1000), timestamp: iso(now()) };
  };
  return {
    components: [
      component("store", "healthy", { series: 12_480, head_bytes: 8.1e7, response_time_ms: 0.4 }),
      component("wal", slow > 250 ? "degraded" : "healthy", { fsync_ms: slow, pending_bytes: 2048 }),
      component("compaction", "healthy", { backlog_blocks: 0 }),
      component("memory", "degraded", { used_percent: 82.4, budget_bytes: 5.4e8, shedding: ["caches"] }),
      component("scrape_targets", "unhealthy", { up: 9, down: 1, message: "payment-0: connection refused" }, 4),
      component("event_queues", "healthy", { queues: 10, fill: 0.07 }),
      component("certificates", "unknown", {}, 3_700),
    ],
  };
}

function checks() {
  const check = (check_name, result, duration_ms, details, error = null) => ({ check_name, node: NODE, result, duration_ms, details, error, timestamp: iso(now() - 1_500) });
  return {
    checks: [
      check("persistence_check", "pass", 4.1, { bytes_written: 64, response_time_ms: 3.9 }),
      check("disk_space", "pass", 0.2, { free_bytes: 2.2e9, free_percent: 3.7 }),
      check("scrape_targets", "fail", 12.6, { up: 9, down: 1 }, "payment-0: connection refused"),
      check("tcp_upstream", "timeout", 1000, {}, "no answer within 1 s"),
      check("memory_budget", "pass", 0.1, { used_percent: 82.4 }),
      check("clock", "pass", 0.1, { drift_ms: 0.4 }),
      check("metrics_service", "pass", 0.3, { message: "Collecting 6 metrics" }),
    ],
  };
}

const cluster = () => ({ status: "degraded", healthy_nodes: 2, total_nodes: 3, degraded_nodes: ["node-3"], unhealthy_nodes: [], quorum_status: "available", timestamp: iso(now() - 800) });

function history(params) {
  const changes = {
    scrape_targets: [["healthy", 30], ["unhealthy", 0.02]],
    memory: [["healthy", 30], ["degraded", 0.05], ["healthy", 0.04], ["degraded", 0.01]],
    certificates: [],
    store: [["unknown", 30], ["healthy", 0.06]],
  };
  const of = changes[params.get("component")] ?? [["healthy", 30]];
  return { history: of.map(([status, hours_ago]) => ({ time: iso(now() - hours_ago * 3600_000), document: { status } })) };
}

function system() {
  const part = (name, value, good, bad, weight, critical = false) => ({ name, value, good, bad, weight, score: value === null ? null : Math.min(1, Math.max(0, (bad - value) / (bad - good))), critical });
  return {
    node: NODE, status: "degraded", reason: "scrape_targets: payment-0: connection refused", version: "mock", uptime_seconds: age(),
    score: { score: 84.3, rating: "degraded", coverage: 0.9, gates: [], parts: [part("error_rate", 0.0066, 0.001, 0.05, 3, true), part("p95_of_objective", 0.3, 1, 3, 2), part("saturation", 0.824, 0.7, 0.95, 2, true), part("queue_drops", 0.001, 0, 0.01, 2), part("event_loop_lag_p95_ms", null, 10, 200, 1)] },
  };
}

function heartbeats() {
  const beat = (key, status, ago_seconds, period_seconds, more = {}) => ({ key, name: key, status, period_seconds, grace_seconds: period_seconds / 10, last_success: ago_seconds === null ? null : iso(now() - ago_seconds * 1000), last_failure: null, running_since: null, took_ms: null, signals: 0, text: "", ...more });
  return {
    heartbeats: [
      beat("nightly-backup", "healthy", 4_100, 86_400, { took_ms: 412_000, signals: 181, text: "41 files, 5.1 GiB" }),
      beat("invoice-export", "unhealthy", 5_400, 3_600, { last_failure: iso(now() - 1_700_000), text: "exit status 3: no route to host" }),
      beat("cache-warmer", "degraded", 62, 60, { running_since: iso(now() - 9_000) }),
      beat("quarter-report", null, null, 7_776_000),
    ],
  };
}

/** Events of the bus: one component goes up and down, the rest repeat themselves. */
export function told(topics) {
  const messages = { component_health: ["component_health", () => components().components.find(({ component }) => component === "wal")], health_check: ["health_check", () => checks().checks[0]], cluster_health: ["cluster_health_updated", cluster] };
  return topics.flatMap((topic) => (messages[topic] ? [{ event: messages[topic][0], document: messages[topic][1]() }] : []));
}
