/**
 * Generated metrics: every value is a pure function of series and time, so that a range, a live event, and a reload agree.
 */

/** The time before which nothing was stored, Unix seconds; the mock's own start less an hour. */
export const STARTED = Math.floor(Date.now() / 1000) - 3600;

const GIB = 1024 ** 3;

/** A smooth wander between 0 and 1, different for each seed. */
function wander(seed, t) {
  const a = Math.sin(t / 47 + seed * 1.7) + Math.sin(t / 13.3 + seed * 3.1) * 0.4 + Math.sin(t / 331 + seed) * 1.3;
  const noise = Math.abs(Math.sin(t * 12.9898 + seed * 78.233) * 43758.5453) % 1;
  return Math.min(1, Math.max(0, (a + 2.7) / 5.4 + (noise - 0.5) * 0.06));
}

/** Bounds of a latency's buckets, seconds. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, Infinity];

const own = { job: "barograph", instance: "127.0.0.1:10701" };
const one = (value) => [{ labels: own, value }];
const by = (name, values, value) => values.map((v, i) => ({ labels: { ...own, [name]: v }, value: (t) => value(i, t) }));

/** name → type, unit, help, and its series: labels and a function of time. */
export const METRICS = {
  system_cpu_usage: gauge("percent", "Busy share of all processors", one((t) => 8 + 40 * wander(1, t) ** 2)),
  system_memory_used: gauge("bytes", "Memory in use", one((t) => (9.2 + 1.4 * wander(2, t)) * GIB)),
  system_memory_total: gauge("bytes", "Memory there is", one(() => 23.4 * GIB)),
  system_memory_free: gauge("bytes", "Memory not in use", one((t) => (14.2 - 1.4 * wander(2, t)) * GIB)),
  system_memory_percentage: gauge("percent", "Memory in use", one((t) => ((9.2 + 1.4 * wander(2, t)) / 23.4) * 100)),
  system_load_1m: gauge("", "Load, one minute", one((t) => 0.3 + 1.8 * wander(3, t))),
  system_load_5m: gauge("", "Load, five minutes", one((t) => 0.5 + 1.1 * wander(3, t / 4))),
  system_load_15m: gauge("", "Load, fifteen minutes", one((t) => 0.7 + 0.5 * wander(3, t / 12))),
  system_uptime: gauge("seconds", "Time since boot", one((t) => t - STARTED + 86_400 * 12.3)),
  process_uptime: gauge("seconds", "Time since start", one((t) => t - STARTED)),
  process_cpu_usage: gauge("percent", "Busy share of one processor", one((t) => 1.5 + 9 * wander(5, t))),
  process_memory_rss: gauge("bytes", "Resident memory", one((t) => (182 + 24 * wander(6, t)) * 1024 ** 2)),
  process_memory_heap_used: gauge("bytes", "Memory the allocator has handed out", one((t) => (121 + 18 * wander(7, t)) * 1024 ** 2)),
  process_memory_heap_total: gauge("bytes", "Memory the allocator holds", one((t) => (160 + 18 * wander(7, t)) * 1024 ** 2)),
  process_eventloop_utilization: gauge("ratio", "Busy share of the runtime", one((t) => 0.02 + 0.2 * wander(8, t))),
  process_handles_active: gauge("", "Open handles", one((t) => 38 + Math.round(6 * wander(9, t)))),
  process_requests_active: gauge("", "Requests under way", one((t) => Math.round(4 * wander(10, t)))),
  barograph_storage_bytes: gauge("bytes", "Bytes on disk", by("kind", ["raw", "1m", "5m", "1h", "wal"], (i, t) => [1.1, 0.8, 0.5, 0.06, 0.3 + 0.2 * wander(31, t)][i] * GIB + (t - STARTED) * 4000)),
  barograph_storage_disk_bytes: gauge("bytes", "The data directory's file system", by("kind", ["total", "free"], (i, t) => (i === 0 ? 60 * GIB : 2.1 * GIB - (t - STARTED) * 20_000))),
  barograph_head_series: gauge("", "Series in memory", one((t) => 12_400 + Math.floor((t - STARTED) / 40))),
  barograph_ingest_samples_total: counter("", "Samples stored", by("source", ["remote_write", "scrape", "import", "self"], (i, t) => [9800, 2400, 120, 96][i] * (0.8 + 0.4 * wander(20 + i, t)))),
  barograph_wal_fsync_duration_seconds_bucket: counter("seconds", "Time to make a log record durable", by("le", ["0.005", "0.01", "+Inf"], (i, t) => 100 * (i + 1) * wander(30, t))),
  barograph_queries_total: counter("", "Queries answered, by outcome", by("outcome", ["ok", "refused"], (i, t) => [42, 0.4][i] * wander(60 + i, t))),
  barograph_query_duration_seconds_bucket: counter("seconds", "Time a query took", by("le", ["0.001", "0.01", "+Inf"], (i, t) => 10 * (i + 1) * wander(31, t))),
  barograph_http_requests_total: counter("", "Requests answered", ["/api/v1/query", "/api/v1/query_range", "/api/v1/write", "/health/clients"].flatMap((route, i) => [200, 400].map((status) => ({ labels: { ...own, route, status: String(status) }, value: (t) => (status === 200 ? 22 : 0.3) / (i + 1) * (0.7 + 0.6 * wander(70 + i, t)) })))),
  barograph_http_request_duration_seconds_bucket: counter("seconds", "Time spent answering", by("le", ["0.001", "0.01", "+Inf"], (i, t) => 12 * (i + 1) * wander(71, t))),
  http_request_errors_total: counter("", "Requests that failed, by class", by("error_class", ["client_error", "server_error", "timeout"], (i, t) => (0.3 / (i + 1)) * wander(75 + i, t))),
  up: gauge("", "Whether the last scrape worked", by("target", ["a", "b", "c"], () => 1)),
  http_requests_total: counter("", "Requests answered", by("code", ["200", "204", "301", "400", "404", "422", "429", "500", "503"], (i, t) => (200 / (i + 1)) * (0.7 + 0.6 * wander(40 + i, t)))),
  http_request_duration_seconds_sum: counter("seconds", "Time spent answering", one((t) => 3 * wander(50, t))),
  http_request_duration_seconds_count: counter("", "Requests timed", one((t) => 40 + 20 * wander(51, t))),
  http_request_duration_seconds_bucket: counter("seconds", "Time spent answering", latencies()),
  checkout_duration_seconds: { type: "gaugehistogram", unit: "seconds", help: "Time of a checkout, as a native histogram", series: one(() => 0) },
  build_requests_total: counter("", "Requests answered, by version", by("version", ["1.8.2", "1.9.0"], (i, t) => (i === 0 ? 80 : 55) * (0.7 + 0.6 * wander(90 + i, t)))),
  mock_many: gauge("bytes", "Ten thousand series", Array.from({ length: 10_000 }, (_, i) => ({ labels: { id: String(i).padStart(5, "0"), ...own }, value: (t) => 1e6 * (i + wander(i, t)) }))),
};

/** The share of requests that took at most `bound`, around a median that wanders. */
function below(bound, t) {
  const median = 0.012 * (1 + 2.5 * wander(50, t) ** 3);
  return bound === Infinity ? 1 : 1 / (1 + (median / bound) ** 2.4);
}

function latencies() {
  return ["/checkout", "/search"].flatMap((path, i) => BOUNDS.map((bound) => ({ labels: { ...own, path, le: bound === Infinity ? "+Inf" : String(bound) }, value: (t) => (30 + 20 * i) * below(bound, t + 100 * i) })));
}

/** A native histogram at a time: exponential buckets between a tenth of a millisecond and four seconds. */
export function histogramAt(t) {
  const buckets = [];
  for (let i = -26; i < 4; i += 1) {
    const [low, high] = [2 ** (i / 2), 2 ** ((i + 1) / 2)];
    const count = 40 * (below(high, t) - below(low, t));
    if (count > 0.05) buckets.push([0, String(low), String(high), String(count)]);
  }
  return { count: "40", sum: "1.2", buckets };
}

function gauge(unit, help, series) {
  return { type: "gauge", unit, help, series };
}

/** The functions are rates; the counter itself is time times a mean. */
function counter(unit, help, series) {
  return { type: "counter", unit, help, series };
}

/** A vector at a time: what an expression that names a metric answers. Enough of PromQL to draw pictures, no more. */
export function evaluate(expression, t, limit = Infinity) {
  const bare = expression.trim();
  if (/^-?[\d.]+$/.test(bare)) return [{ metric: {}, value: Number(bare) }];
  if (t < STARTED) return [];
  const quotient = /^\(([^]*)\)\s*([/+*-])\s*\(([^]*)\)$/.exec(bare);
  if (quotient) return combined(evaluate(quotient[1], t), quotient[2], evaluate(quotient[3], t));
  const last = /^last_over_time\(\(([^]*)\)\[[^\]]*\]\)$/.exec(bare);
  if (last) return evaluate(last[1], t, limit);
  const pattern = /__name__\s*=~\s*"([^"]*)"/.exec(bare);
  if (pattern) return Object.keys(METRICS).filter((metric) => new RegExp(`^(?:${pattern[1]})$`).test(metric)).flatMap((metric) => evaluate(metric, t));
  const name = Object.keys(METRICS).sort((a, b) => b.length - a.length).find((metric) => new RegExp(`\\b${metric}\\b`).test(bare));
  if (name === undefined) return [];
  const { type, series } = METRICS[name];
  const quantile = /histogram_quantile\s*\(\s*([\d.]+)/.exec(bare);
  if (quantile) return [{ metric: {}, value: 0.0038 + 0.004 * Number(quantile[1]) * wander(Number(quantile[1]) * 10, t) }];
  const is_rate = /\b(i?rate|deriv)\s*\(/.test(bare);
  let points = filtered(series, bare).slice(0, limit).map(({ labels, value }) => ({
    metric: is_rate ? labels : { __name__: name, ...labels },
    value: type === "counter" && !is_rate ? Math.floor(value(STARTED) * (t - STARTED)) : value(t),
  }));
  // What an aggregation is multiplied with, a formula for example, is not computed: pictures need no more.
  const group = /^\(*(sum|avg|max|min|count)\b\s*(?:by\s*\(([^)]*)\))?/.exec(bare);
  if (group) points = grouped(points, group[1], (group[2] ?? "").split(",").map((label) => label.trim()).filter(Boolean));
  return points;
}

export const nameless = (metric) => Object.fromEntries(Object.entries(metric).filter(([label]) => label !== "__name__"));

/** Two vectors, matched by the labels that both have; a lone right side goes with each. */
function combined(left, operator, right) {
  const fold = { "/": (a, b) => a / b, "+": (a, b) => a + b, "*": (a, b) => a * b, "-": (a, b) => a - b }[operator];
  const key = (metric) => JSON.stringify(Object.entries(nameless(metric)).sort());
  return left.flatMap(({ metric, value }) => {
    const other = right.find((one) => key(one.metric) === key(metric)) ?? (right.length === 1 ? right[0] : undefined);
    return other === undefined ? [] : [{ metric: nameless(metric), value: fold(value, other.value) }];
  });
}

function filtered(series, expression) {
  const matchers = [...expression.matchAll(/([a-zA-Z_]+)\s*(=~|=)\s*"([^"]*)"/g)];
  return series.filter(({ labels }) => matchers.every(([, label, op, want]) => (op === "=" ? (labels[label] ?? "") === want : new RegExp(`^(?:${want})$`).test(labels[label] ?? ""))));
}

function grouped(points, how, labels) {
  const groups = new Map();
  for (const { metric, value } of points) {
    const kept = Object.fromEntries(labels.filter((label) => metric[label] !== undefined).map((label) => [label, metric[label]]));
    const key = JSON.stringify(kept);
    groups.set(key, { metric: kept, values: [...(groups.get(key)?.values ?? []), value] });
  }
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const fold = { sum, count: (v) => v.length, avg: (v) => sum(v) / v.length, max: (v) => Math.max(...v), min: (v) => Math.min(...v) }[how];
  return [...groups.values()].map(({ metric, values }) => ({ metric, value: fold(values) }));
}

/** The server's message for an expression whose brackets do not match; `null` when they do. */
export function parseError(expression) {
  const stack = [];
  const place = (at) => `${expression.slice(0, at).split("\n").length}:${at - expression.lastIndexOf("\n", at - 1)}`;
  for (let i = 0; i < expression.length; i += 1) {
    const c = expression[i];
    if (c === '"') {
      i = expression.indexOf('"', i + 1);
      if (i < 0) return `${place(expression.length)}: parse error: unterminated quoted string`;
    }
    if ("([{".includes(c)) stack.push(i);
    if (")]}".includes(c) && stack.pop() === undefined) return `${place(i)}: parse error: unexpected right parenthesis '${c}'`;
    if ("^$&?;".includes(c)) return `${place(i)}: parse error: unexpected character: '${c}'`;
  }
  if (stack.length > 0) return `${place(stack.at(-1))}: parse error: unclosed left parenthesis`;
  return expression.trim() === "" ? "1:1: parse error: no expression found in input" : null;
}
