/** Documents of the JSON query language and plans, as far as pictures and journeys need them. */
import { evaluate, METRICS, nameless, parseError } from "./series.js";

const storedName = (metric) => metric.replace(/[^\w:]/g, "_");
const problem = (path, detail) => ({ type: "about:blank", title: "Bad Request", status: 400, path, detail: `${path}: ${detail}` });
const secondsOf = (text) => {
  const match = /^(\d+)(s|m|h|d)$/.exec(text ?? "");
  return match === null ? null : Number(match[1]) * { s: 1, m: 60, h: 3600, d: 86_400 }[match[2]];
};

/** The answer to a document, or the problem with it. */
export function queried({ query }) {
  const { metrics = [], filter = {}, groupBy = [], aggregations = [{ type: "AVG" }], calculations = [], limit = Infinity } = query;
  for (const key of Object.keys(query)) {
    if (!["metrics", "filter", "groupBy", "aggregations", "calculations", "sort", "limit", "granularity", "targetPoints", "pattern"].includes(key)) return problem(`query.${key}`, "unknown key; known are metrics, filter, groupBy, aggregations");
  }
  const { start, end } = filter.timeRange ?? { start: Date.now() - 3_600_000, end: Date.now() };
  const results = [];
  const warnings = [];
  for (const [i, { type, window = "auto" }] of aggregations.entries()) {
    const width = window === "auto" ? 1 : secondsOf(window);
    if (width === null) return problem(`query.aggregations[${i}].window`, "expected a length of time such as 30s, 7m or 1h30m, or milliseconds");
    for (const metric of metrics) {
      if (METRICS[storedName(metric)] === undefined) warnings.push(`"${metric}" stands for no metric that has samples in the time range`);
      results.push(...resultsOf(metric, type, width, start, end, filter.dimensions ?? {}, groupBy).slice(0, limit).map((result) => ({ ...result, window: window === "auto" ? "1s" : window })));
    }
  }
  for (const { name } of calculations) results.push({ name, window: "1s", labels: {}, dataPoints: resultsOf(metrics[0] ?? "up", "AVG", 1, start, end, {}, [])[0]?.dataPoints ?? [] });
  return { results, meta: { tier: "raw", reason: `the span is ${Math.round((end - start) / 60_000)}m`, error: 0, points_read: 3456, took_ms: 1.9, cached: false, start, end, groups: results.length, warnings: [...new Set(warnings)] } };
}

function resultsOf(metric, type, width, start, end, dimensions, groupBy) {
  const found = new Map();
  const how = { SUM: "sum", MAX: "max", MIN: "min", COUNT: "count" }[type] ?? "avg";
  const matchers = Object.entries(dimensions).map(([label, value]) => `${label}=~"${Array.isArray(value) ? value.join("|") : typeof value === "object" ? ".*" : value}"`);
  const inner = `${storedName(metric)}{${matchers.join(",")}}`;
  const rate = /RATE|INCREASE/.test(type) ? `rate(${inner}[1m])` : inner;
  const expression = groupBy[0] === "*" ? rate : `${how} by (${groupBy.join(",")}) (${rate})`;
  for (let t = Math.ceil(start / 1000 / width) * width; t * 1000 < end; t += width) {
    for (const { metric: found_labels, value } of evaluate(expression, t)) {
      const labels = nameless(found_labels);
      const key = JSON.stringify(labels);
      if (!found.has(key)) found.set(key, { name: metric, aggregation: type.toLowerCase(), labels, dataPoints: [] });
      found.get(key).dataPoints.push({ timestamp: t * 1000, value });
    }
  }
  return [...found.values()];
}

/** The plan of an expression, or of a document. */
export function explained(question, is_document, analyzed) {
  const expression = is_document ? promqlOf(question.query) : question.query;
  const mistake = parseError(expression);
  if (mistake !== null) return { type: "about:blank", title: "Bad Request", status: 400, detail: `invalid parameter "query": ${mistake}` };
  const [start, end, step] = is_document ? [question.query.filter?.timeRange?.start ?? 0, question.query.filter?.timeRange?.end ?? 0, 10_000] : [question.start * 1000, question.end * 1000, question.step * 1000];
  const steps = Math.floor((end - start) / step) + 1;
  const plan = nodeOf(expression, expression, 0, steps, analyzed);
  return {
    language: is_document ? "json" : "promql",
    expression,
    start,
    end,
    step,
    steps,
    analyzed,
    plan,
    total: { series: 4, samples: 4 * steps, bytes: 16 * 4 * steps, took_ms: analyzed ? 1.84 : null },
    promql: is_document && question.query.pattern === undefined ? expression : null,
    json: is_document ? null : documentOf(expression),
    warnings: [],
    infos: [],
  };
}

/** Calls and selectors, outermost first. */
function nodeOf(whole, text, at, steps, analyzed, depth = 0) {
  const from = at + (text.length - text.trimStart().length);
  const bare = text.trim();
  const call = /^(\w+)\s*(by\s*\([^)]*\))?\s*\(([^]*)\)$/.exec(bare);
  const samples = steps * 4;
  const node = (operation, detail, children, more = {}) => ({
    operation,
    text: bare,
    from,
    to: from + bare.length,
    detail,
    tier: null,
    reason: null,
    range: null,
    estimate: { series: Math.max(1, 4 - depth), samples },
    actual: analyzed ? { series: Math.max(1, 4 - depth), samples: samples - 7, took_ms: 1.84 / (depth + 1) } : null,
    children,
    ...more,
  });
  if (call === null) return node("select", /\[/.test(bare) ? "a window of samples for each step" : "the newest sample at each step", [], { tier: "raw", reason: "the step is finer than a window of any tier" });
  const inner = call[3];
  return node(call[2] === undefined ? "call" : "aggregate", call[1] + (call[2] ? ` ${call[2]}` : ""), [nodeOf(whole, inner, from + bare.indexOf(inner, call[1].length + (call[2]?.length ?? 0)), steps, analyzed, depth + 1)]);
}

function promqlOf({ metrics = [], filter = {}, groupBy = [], aggregations = [] }) {
  const { type = "AVG", window = "1m" } = aggregations[0] ?? {};
  const inside = Object.entries(filter.dimensions ?? {}).map(([label, value]) => (Array.isArray(value) ? `${label}=~"${value.join("|")}"` : `${label}="${value}"`));
  const selector = `${storedName(metrics[0] ?? "up")}${inside.length > 0 ? `{${inside.join(", ")}}` : ""}[${window === "auto" ? "1m" : window}]`;
  const by = groupBy.length > 0 ? ` by (${groupBy.join(", ")})` : "";
  return type === "RATE" ? `sum${by} (rate(${selector}))` : `${type.toLowerCase()}${by} (${type.toLowerCase()}_over_time(${selector}))`;
}

/** `null` for what is no aggregation of one selector. */
function documentOf(expression) {
  const match = /^(sum|avg|min|max)\s*(?:by\s*\(([^)]*)\))?\s*\((rate|avg_over_time|max_over_time)\(([a-z_]+)(?:\{([^}]*)\})?\[(\w+)\]\)\)$/.exec(expression.trim());
  if (match === null) return null;
  const [, , by, how, metric, matchers, window] = match;
  const dimensions = Object.fromEntries([...(matchers ?? "").matchAll(/(\w+)="([^"]*)"/g)].map(([, label, value]) => [label, value]));
  return {
    query: {
      metrics: [metric],
      ...(Object.keys(dimensions).length > 0 && { filter: { dimensions } }),
      ...(by && { groupBy: by.split(",").map((label) => label.trim()) }),
      aggregations: [{ type: { rate: "RATE", avg_over_time: "AVG", max_over_time: "MAX" }[how], window }],
    },
  };
}
