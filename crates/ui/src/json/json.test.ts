import { describe, expect, test } from "vitest";
import { compact, documentAt, EMPTY, pretty, readDraft, withDimension, writeDraft, type Draft } from "./document";
import { type JsonError, placeOf, stepsOf, treeOf } from "./tree";

describe("places", () => {
  const text = '{"query": {"metrics": ["a", "b"], "filter": {"dimensions": {"flow id": 5}}, "aggregations": [{"type": "AVG", "window": "xx"}]}}';
  const check = (path: string, marked: string) => {
    const { from, to } = placeOf(treeOf(text), path);
    expect(text.slice(from, to)).toBe(marked);
  };
  test("of values by path", () => {
    check("query.aggregations[0].window", '"xx"');
    check("query.metrics[1]", '"b"');
    check('query.filter.dimensions["flow id"]', "5");
    expect(stepsOf("query.a[10].b")).toEqual(["query", "a", "10", "b"]);
  });
  test("what is not there is where it would be", () => check("query.metrics[7]", '["a", "b"]'));
  test("a mistake in the text has its place", () => {
    const fails = (bad: string, at: number) => {
      try {
        treeOf(bad);
        expect.unreachable(bad);
      } catch (error) {
        expect((error as JsonError).at, bad).toBe(at);
      }
    };
    fails('{"a": }', 6);
    fails('{"a": 1,}', 8);
    fails('{"a": 1} x', 9);
    fails('["a" "b"]', 5);
    fails('{"a', 1);
    fails("[01]", 1);
    fails("", 0);
    fails("[".repeat(100), 65);
  });
  test("whatever the browser reads is read", () => {
    for (const good of ["1", "-1.5e+3", "true", "null", '"\\u00e9\\""', "[]", "{}", ' { "a" : [ 1 , { } ] } ']) expect(() => treeOf(good), good).not.toThrow();
  });
});

describe("documents", () => {
  const draft = (text: string): Draft => {
    const found = readDraft(text);
    if ("message" in found) throw new Error(found.message);
    return found;
  };
  const same = (document: unknown) => expect(JSON.parse(writeDraft(draft(JSON.stringify(document))))).toEqual(document);
  test("come back as they were, with what the builder has no field for", () => {
    same({
      query: {
        metrics: ["flow.execution.duration", "/flow_.*/"],
        filter: { dimensions: { flowId: "checkout", serviceType: ["batch", "online"], version: { prefix: "2.", notEquals: "2.1" }, host: { exists: true } } },
        groupBy: ["versionId"],
        aggregations: [{ type: "AVG", window: "1h" }, { type: "PERCENTILE", percentile: 99, metric: "flow.execution.duration", alias: "slow" }],
        calculations: [{ name: "efficiency", expression: "a / b", window: "5m" }],
        sort: { field: "efficiency", order: "DESC" },
        limit: 100,
        granularity: "1m",
        pattern: { name: "p" },
      },
    });
    same({ query: {} });
  });
  test("a time range is the page's", () => {
    expect(writeDraft(draft('{"query":{"filter":{"timeRange":{"start":"now-1d"}}}}'))).not.toContain("timeRange");
    expect(documentAt('{"query":{"filter":{"timeRange":{"start":1},"dimensions":{"a":"b"}}}}', 5, 6)).toEqual({ document: { query: { filter: { timeRange: { start: 5, end: 6 }, dimensions: { a: "b" } } } } });
  });
  test("that cannot be read say where", () => {
    const text = '{"query": {"metrics": 5}}';
    const found = readDraft(text);
    expect(found).toMatchObject({ message: "query.metrics: expected a list", from: 22, to: 23 });
    expect(readDraft('{"query": ')).toMatchObject({ message: "the document ends too early" });
    expect(readDraft('{"a": 1}')).toMatchObject({ message: 'expected {"query": {…}}' });
    expect(readDraft("")).toEqual(EMPTY);
  });
  test("of another version", () => {
    expect(JSON.parse(withDimension('{"query":{"metrics":["a"],"filter":{"dimensions":{"version_id":"1"}}}}', "versionId", "2"))).toEqual({ query: { metrics: ["a"], filter: { dimensions: { versionId: "2" } } } });
  });
  test("are short in links and long on screen", () => {
    expect(compact('{\n "a": 1 }')).toBe('{"a":1}');
    expect(pretty('{"a":1}')).toBe('{\n  "a": 1\n}');
    expect(compact("{")).toBe("{");
  });
});
