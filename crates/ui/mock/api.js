/**
 * The server's API as far as the pages use it, over generated metrics: for development without a server.
 *
 * `POST /mock/down?ms=3000` closes every connection and refuses new ones for a while, as a restart would look;
 * `POST /mock/metrics?count=10000` makes the catalog that much longer.
 */
import { account, arrange as arrangeAccounts, refused } from "./account.js";
import { admin } from "./admin.js";
import { alerting, arrangeAlerts, toldAlerts } from "./alerts.js";
import { diagnostics } from "./diagnostics.js";
import { explained, queried } from "./documents.js";
import { arrange, health, told } from "./health.js";
import { targets } from "./targets.js";
import { evaluate, histogramAt, METRICS, parseError, STARTED } from "./series.js";

const FLAT = (value) => (Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : value < 0 ? "-Inf" : "NaN");

/** A handler `(request, response, next)` that answers API paths and passes on the rest. */
export function createApi() {
  const streams = new Set();
  let down_until = 0;
  let more_metrics = 0;

  return async function api(request, response, next) {
    const url = new URL(request.url, "http://mock");
    if (Date.now() < down_until) return request.socket.destroy();
    if (url.pathname === "/mock/down") {
      down_until = Date.now() + Number(url.searchParams.get("ms") ?? 3000);
      for (const stream of streams) stream.socket.destroy();
      return send(response, 200, {});
    }
    if (url.pathname === "/mock/metrics") {
      more_metrics = Number(url.searchParams.get("count") ?? 0);
      return send(response, 200, {});
    }
    if (url.pathname === "/mock/auth") {
      arrangeAccounts(url.searchParams);
      return send(response, 200, {});
    }
    const no = refused(url, request);
    if (no !== null) return send(response, no.status, no.document);
    const accounts = /^\/api\/barograph\/v1\/((?:auth\/.+)|audit|tenants)$/.exec(url.pathname)?.[1];
    if (accounts !== undefined) {
      const { status, document } = account(accounts, request.method, await body(request)) ?? { status: 404, document: { status: 404, detail: `there is nothing at ${url.pathname}` } };
      return send(response, status, document);
    }
    if (url.pathname === "/api/barograph/v1/live") return url.searchParams.has("bus") ? events(response, url, streams) : live(request, response, url, streams);
    if (url.pathname === "/api/barograph/v1/catalog") return send(response, 200, catalog(more_metrics));
    if (/^\/api\/barograph\/v1\/query(\/explain)?$/.test(url.pathname)) {
      const text = await body(request);
      const is_document = request.headers["content-type"] === "application/json";
      const question = is_document ? JSON.parse(text) : Object.fromEntries([...new URLSearchParams(text), ...url.searchParams]);
      const answer = url.pathname.endsWith("explain") ? explained(question, is_document, is_document ? url.searchParams.get("analyze") === "true" : question.analyze === "true") : queried(question);
      return send(response, answer.status ?? 200, answer);
    }
    if (arrange(url.pathname, url.searchParams) || arrangeAlerts(url.pathname, url.searchParams)) return send(response, 200, {});
    if (/^\/api\/(?:v2\/silence|barograph\/v1\/(?:alerts|incidents|oncall|escalation-policies|maintenance|receivers|deliveries)\b)/.test(url.pathname)) {
      const { status, document } = alerting(url.pathname, request.method, url.searchParams, await body(request)) ?? { status: 404, document: { status: 404, detail: `there is nothing at ${url.pathname}` } };
      return send(response, status, document);
    }
    const about = /^(?:\/api\/barograph\/v1)?\/health\/(.+)$/.exec(url.pathname)?.[1];
    if (about !== undefined) {
      const { status, document } = health(about, url.searchParams) ?? { status: 404, document: { status: 404, detail: `there is nothing at ${url.pathname}` } };
      return send(response, status, document);
    }
    const own = /^\/api\/barograph\/v1\/(.+)$/.exec(url.pathname)?.[1];
    const document = own === undefined ? null : own.startsWith("diagnostics/") ? diagnostics(own.slice("diagnostics/".length), request.method) : admin(own, request.method, url.searchParams);
    if (document !== null) return send(response, request.method === "POST" ? 201 : 200, document);
    if (!url.pathname.startsWith("/api/v1/")) return next();
    const params = new URLSearchParams(url.search);
    if (request.method === "POST") for (const [name, value] of new URLSearchParams(await body(request))) params.append(name, value);
    const answer = route(url.pathname.slice("/api/v1/".length), params);
    if (answer.error === undefined) send(response, 200, { status: "success", data: answer, ...remarks(url.pathname, params.get("query") ?? "") }, { "x-barograph-tier": "raw" });
    else send(response, answer.status ?? 400, { status: "error", errorType: "bad_data", error: answer.error });
  };
}

function route(path, params) {
  const query = params.get("query") ?? "";
  const label = /^label\/(.+)\/values$/.exec(path)?.[1];
  if (label !== undefined) return label === "__name__" ? Object.keys(METRICS).sort() : valuesOf(decodeURIComponent(label));
  switch (path) {
    case "labels":
      return [...new Set(Object.values(METRICS).flatMap(({ series }) => series.slice(0, 10).flatMap(({ labels }) => Object.keys(labels)))), "__name__"].sort();
    case "series":
      return seriesOf(params.getAll("match[]"));
    case "metadata":
      return Object.fromEntries(Object.entries(METRICS).map(([name, { type, unit, help }]) => [name, [{ type, unit, help }]]));
    case "query": {
      const problem = parseError(query);
      if (problem !== null) return { error: `invalid parameter "query": ${problem}` };
      const time = Number(params.get("time") ?? Date.now() / 1000);
      return { resultType: "vector", result: evaluate(query, time).map(({ metric, value }) => ({ metric, value: [time, FLAT(value)] })) };
    }
    case "query_range": {
      const problem = parseError(query);
      return problem === null ? range(query, Number(params.get("start")), Number(params.get("end")), Number(params.get("step")), Number(params.get("limit") ?? 10_000)) : { error: `invalid parameter "query": ${problem}` };
    }
    case "targets":
      return targets();
    case "status/buildinfo":
      return { version: "3.14.0" };
    default:
      return { error: "not found", status: 404 };
  }
}

function range(query, start, end, step, limit) {
  if ((end - start) / step > 11_000) return { error: "exceeded maximum resolution of 11,000 points per timeseries" };
  if (/\bcheckout_duration_seconds\b(?!_)/.test(query) && !/histogram_/.test(query)) {
    const times = Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, i) => start + i * step).filter((t) => t >= STARTED);
    return { resultType: "matrix", result: [{ metric: {}, histograms: times.map((t) => [t, histogramAt(t)]) }] };
  }
  const found = new Map();
  for (let t = start; t <= end; t += step) {
    for (const { metric, value } of evaluate(query, t, limit)) {
      const key = JSON.stringify(metric);
      if (!found.has(key)) found.set(key, { metric, values: [] });
      found.get(key).values.push([t, FLAT(value)]);
    }
  }
  return { resultType: "matrix", result: [...found.values()] };
}

/** The server's info about a rate of what is no counter, with its place. */
function remarks(path, query) {
  const match = /\brate\(([a-z_0-9]+)(?<!_total|_bucket|_sum|_count|_duration_seconds)\[/.exec(query);
  if (match === null || !path.includes("/query")) return {};
  return { infos: [`PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "${match[1]}" (1:${match.index + 6})`] };
}

function catalog(more) {
  const now = Date.now() / 1000;
  const known = Object.entries(METRICS).map(([name, { type, unit, help, series }], i) => ({
    name,
    family: name,
    type,
    unit,
    help,
    labels: Object.keys(series[0]?.labels ?? {}),
    versions: [],
    active_series: series.length,
    samples: series.length * 3600,
    windows: 0,
    bytes: 0,
    first_seen: STARTED,
    last_seen: i % 7 === 3 ? now - 40 * i : now - 1,
    last_queried: null,
  }));
  const made = Array.from({ length: more }, (_, i) => ({ ...known[0], name: `mock_metric_${String(i).padStart(5, "0")}_total`, type: "counter", unit: "", help: `Generated metric number ${i}` }));
  const metrics = [...known, ...made].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { count: metrics.length, metrics };
}

function valuesOf(label) {
  const values = Object.values(METRICS).flatMap(({ series }) => series.slice(0, 100).map(({ labels }) => labels[label]));
  return [...new Set(values.filter((value) => value !== undefined))].sort();
}

function seriesOf(selectors) {
  return selectors.flatMap((selector) => {
    const name = /[a-zA-Z_:][\w:]*/.exec(selector)?.[0];
    return (METRICS[name]?.series ?? []).slice(0, 100).map(({ labels }) => ({ __name__: name, ...labels }));
  });
}

function live(request, response, url, streams) {
  const queries = url.searchParams.getAll("query");
  const step = Number.parseFloat(url.searchParams.get("step") ?? "1");
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  response.write(`event: hello\ndata: ${JSON.stringify({ version: "mock", now: Date.now() / 1000 })}\n\n`);
  const event = (time) => {
    const results = queries.map((query) => evaluate(query, time).map(({ metric, value }) => ({ metric, value: FLAT(value) })));
    response.write(`event: points\nid: ${time * 1000}\ndata: ${JSON.stringify({ time, results })}\n\n`);
  };
  const newest = () => Math.floor(Date.now() / 1000 / step) * step;
  let sent = newest();
  const resume = Number(request.headers["last-event-id"]) / 1000;
  if (resume > 0) sent = Math.max(Math.ceil(resume / step) * step, newest() - 600 * step);
  const timer = setInterval(() => {
    while (sent + step <= newest()) event((sent += step));
  }, 50);
  streams.add(response);
  response.on("close", () => (clearInterval(timer), streams.delete(response)));
}

function events(response, url, streams) {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  response.write(`event: hello\ndata: ${JSON.stringify({ version: "mock", now: Date.now() / 1000, client: "mock" })}\n\n`);
  let id = 0;
  const timer = setInterval(() => {
    for (const { event, document } of url.searchParams.get("bus") === "alerts" ? toldAlerts() : told((url.searchParams.get("topics") ?? "").split(","))) response.write(`event: ${event}\nid: ${(id += 1)}\ndata: ${JSON.stringify(document)}\n\n`);
  }, 1000);
  streams.add(response);
  response.on("close", () => (clearInterval(timer), streams.delete(response)));
}

async function body(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}

function send(response, status, value, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(value));
}
