import { describe, expect, test } from "vitest";
import { problemIn } from "./problem";
import { seriesKey, seriesText, shortNames } from "./series";
import { metricsIn, unitOf, type MetricFacts } from "./unit";

describe("units", () => {
  const facts = new Map<string, MetricFacts>([["system_memory_used", { type: "gauge", unit: "bytes", help: "" }]]);
  const check = (expression: string, unit: string) => expect(unitOf(expression, (name) => facts.get(name)), expression).toBe(unit);
  test("from the catalog, else from the ending", () => {
    check("system_memory_used", "bytes");
    check('max by (job) (system_memory_used{job="x"})', "bytes");
    check("go_memstats_alloc_bytes", "bytes");
    check("process_uptime_seconds", "seconds");
    check("mystery", "number");
  });
  test("of rates", () => {
    check("rate(http_requests_total[5m])", "per-second");
    check("sum by (a) (irate(net_bytes_total[1m]))", "bytes/s");
    check("rate(process_cpu_seconds_total[1m])", "ratio");
    check("increase(http_requests_total[5m])", "number");
  });
  test("of quotients and quantiles", () => {
    check("rate(http_duration_seconds_sum[5m]) / rate(http_duration_seconds_count[5m])", "seconds");
    check("system_memory_used / system_memory_used", "ratio");
    check("system_memory_used / 1024", "bytes");
    check("histogram_quantile(0.9, sum by (le) (rate(http_duration_seconds_bucket[5m])))", "seconds");
  });
  test("of what counts or compares", () => {
    check("count(system_memory_used)", "number");
    check("count by (job) (system_memory_used)", "number");
    check("system_memory_used > bool 5", "number");
    check("", "number");
  });
});

test("the metrics of an expression", () => {
  expect(metricsIn('sum by (job) (rate(a_total{x="b{c"}[5m])) / on (job) group_left d:e offset 5m # f')).toEqual(["a_total", "d:e"]);
});

describe("the place of an error", () => {
  const check = (query: string, message: string, marked: string | null) => {
    const problem = problemIn(query, message);
    expect(problem === null ? null : query.slice(problem.from, problem.to)).toBe(marked);
  };
  test("the word that is there", () => {
    check("sum(raet(up))", 'invalid parameter "query": 1:5: parse error: unknown function with name "raet"', "raet");
    check("a\n+ + )", 'invalid parameter "query": 2:5: parse error: unexpected right parenthesis', ")");
  });
  test("columns count bytes", () => check('up{a="größe"} $', 'invalid parameter "query": 1:17: parse error: unexpected character', "$"));
  test("past the end, the last character", () => check("sum(up  ", "1:9: parse error: unclosed left parenthesis", "p"));
  test("no place named", () => check("up", "query processing would load too many samples", null));
  test("the message without its place", () => expect(problemIn("(", 'invalid parameter "query": 1:2: parse error: unclosed')?.message).toBe("unclosed"));
});

describe("series", () => {
  test("as a selector writes them", () => {
    expect(seriesText({ __name__: "up", job: 'a"b' })).toBe('up{job="a\\"b"}');
    expect(seriesText({ __name__: "a.b", "x-y": "1" })).toBe('{"a.b", "x-y"="1"}');
    expect(seriesText({})).toBe("{}");
    expect(seriesText({ __name__: "up" })).toBe("up");
  });
  test("keys ignore the order of labels", () => expect(seriesKey({ a: "1", b: "2" })).toBe(seriesKey({ b: "2", a: "1" })));
  test("short names leave out what all share", () => {
    expect(shortNames([{ job: "a", host: "x" }, { job: "a", host: "y" }])).toEqual(["x", "y"]);
    expect(shortNames([{ __name__: "m", host: "x", k: "1" }, { __name__: "n", host: "y", k: "2" }])).toEqual(["m host=x k=1", "n host=y k=2"]);
    expect(shortNames([{ __name__: "m", host: "x" }])).toEqual(["m"]);
    expect(shortNames([{ a: "1" }, {}])).toEqual(["1", "{}"]);
  });
});
