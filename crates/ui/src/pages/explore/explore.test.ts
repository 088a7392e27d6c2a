import { describe, expect, test } from "vitest";
import type { JsonResult } from "../../api/explore";
import { withMatcher } from "../../promql/matchers";
import { frameOfBuckets, heatQuery, labelsOf, remarkIn, rowsOfBuckets, suggestion } from "./answers";
import { expanded, placeInFormula, type Formula } from "./formula";
import { added, allowedStep, changed, chosenOf, isChosen, moved, QUERIES_MAX, readExplore, removed, writeExplore, type Query } from "./state";

const read = (text: string) => readExplore(new URLSearchParams(text));
const promql = (id: string, text: string): Query => ({ id, language: "promql", text, hidden: false });

describe("the address", () => {
  const same = (text: string) => expect(writeExplore(read(text), new URLSearchParams(text)).toString()).toBe(new URLSearchParams(text).toString());
  test("says the whole view, and is written as it was read", () => {
    same("");
    same("q=up");
    same("range=1h&tz=utc&q=up&q.B=rate(x[5m])&formula.D=A / B&json.C={\"query\":{}}&hide=B,C&view=heatmap&step=30s&unit=bytes&compare=1d&only=A up&stats=on&value=last&explain=B");
    same("q.B=b&q=a&compare=service.version=1.2=x&without=A up{job=\"a\"}&without=B b");
    same("json.A={}&compare=previous");
  });
  test("names queries by language and letter, in their order", () => {
    expect(read("q.B=b&q=a&formula.C=A/B&hide=C").queries).toEqual([promql("B", "b"), promql("A", "a"), { id: "C", language: "formula", text: "A/B", hidden: true }]);
    expect(read("").queries).toEqual([promql("A", "")]);
  });
  test("that is wrong is the default", () => {
    expect(read("view=graph&step=never&unit=apples&compare=soon&explain=Z")).toMatchObject({ tab: "chart", step: null, unit: null, compare: null, explain: null });
    expect(read("unit=toString").unit).toBeNull();
    expect(read("q=a&q=b&q.a=c&q.A=d").queries).toEqual([promql("A", "a")]);
    expect(read([..."ABCDEFGHIJKLMNOP"].map((letter) => `q.${letter}=x`).join("&")).queries).toHaveLength(QUERIES_MAX);
  });
  test("a step too fine for the server is made coarser", () => expect(allowedStep(1, 86_400)).toBe(8));
});

describe("the list of queries", () => {
  const list = [promql("A", "a"), promql("B", "b"), promql("C", "c")];
  const ids = (queries: readonly Query[]) => queries.map((query) => query.id).join("");
  test("gives the first free letter, in its place", () => {
    expect(ids(added(removed(list, "B"), list[0] as Query, "A"))).toBe("ABC");
    expect(ids(added(list, list[0] as Query))).toBe("ABCD");
  });
  test("is limited, and never empty", () => {
    let many: readonly Query[] = list;
    for (let i = 0; i < 40; i += 1) many = added(many, list[0] as Query);
    expect(many).toHaveLength(QUERIES_MAX);
    expect(removed([promql("C", "c")], "C")).toEqual([promql("A", "")]);
  });
  test("is reordered, letters stay", () => {
    expect(ids(moved(list, "C", -1))).toBe("ACB");
    expect(ids(moved(list, "A", -1))).toBe("ABC");
    expect(changed(list, "B", { hidden: true })[1]).toEqual({ ...list[1], hidden: true });
  });
});

test("chosen series are named by the shorter list", () => {
  const all = ["a", "b", "c", "d"];
  expect(chosenOf(all, new Set(["a"]))).toEqual({ kind: "only", series: ["a"] });
  expect(chosenOf(all, new Set(["a", "b", "c"]))).toEqual({ kind: "without", series: ["d"] });
  expect(chosenOf(all, new Set(all))).toEqual({ kind: "all" });
  expect(isChosen({ kind: "without", series: ["d"] }, "a")).toBe(true);
  expect(isChosen({ kind: "only", series: ["d"] }, "a")).toBe(false);
});

describe("formulas", () => {
  const queries: Query[] = [promql("A", "rate(a[5m]) # so many"), promql("B", 'b{X="A"}'), { id: "C", language: "formula", text: "A / B", hidden: false }, { id: "D", language: "json", text: "{}", hidden: false }, promql("E", " ")];
  const check = (text: string, expr: string) => expect(expanded("Z", text, queries)).toMatchObject({ expr });
  const fails = (text: string, problem: RegExp, id = "Z") => expect((expanded(id, text, queries) as { problem: string }).problem).toMatch(problem);
  test("letters stand for their queries in parentheses", () => {
    check("A / B", '(rate(a[5m])) / (b{X="A"})');
    check("topk(3, A)", "topk(3, (rate(a[5m])))");
    check("100 * C", '100 * ((rate(a[5m])) / (b{X="A"}))');
    check("A / on (A) B", '(rate(a[5m])) / on (A) (b{X="A"})');
  });
  test("only where they are letters of queries", () => {
    check('A + x{B="B"} + BA:B + "B"', '(rate(a[5m])) + x{B="B"} + BA:B + "B"');
    fails("x + 1", /names at least one query/);
  });
  test("say why not", () => {
    fails("A / F", /no query F/);
    fails("A / D", /JSON query.*switch D to PromQL/);
    fails("A / E", /query E is empty/);
    fails("C + 1", /in C: A would depend on itself/, "A");
    fails("Z", /depend on itself/);
    fails("", /write a formula/);
  });
  test("places lead back", () => {
    const formula = expanded("Z", "A +) B", queries) as Formula;
    const place = (found: string) => {
      const at = formula.expr.indexOf(found);
      const { from, to } = placeInFormula(formula, at, at + found.length);
      return "A +) B".slice(from, to);
    };
    expect(place("+")).toBe("+");
    expect(place("rate")).toBe("A");
    expect(place('b{X="A"}')).toBe("B");
  });
});

describe("another version", () => {
  const check = (expression: string, expected: string) => expect(withMatcher(expression, "version", "2.0")).toBe(expected);
  test("is asked in every selector", () => {
    check("up", 'up{version="2.0"}');
    check('sum(rate(a{job="x"}[5m])) / b', 'sum(rate(a{job="x", version="2.0"}[5m])) / b{version="2.0"}');
    check('a{version=~"1.+", job="x"} offset 5m', 'a{job="x", version="2.0"} offset 5m');
    check('{"a.b"}', '{"a.b", version="2.0"}');
    check("1 + time()", "1 + time()");
  });
  test("by a name that is not plain", () => expect(withMatcher('{"a.b", "service.version"="1"}', "service.version", "2")).toBe('{"a.b", "service.version"="2"}'));
});

describe("JSON results", () => {
  const result = (window: string | null, points: [number, number | null][], more: Partial<JsonResult> = {}): JsonResult => ({ name: "m", aggregation: "avg", window, labels: { host: "a" }, dataPoints: points.map(([at, value]) => ({ timestamp: at * 1000, value })), ...more });
  const values = (results: JsonResult[], step = 10) => frameOfBuckets(results, 100, 160, step).lines.map((line) => line.values);
  test("hold for their bucket", () => {
    expect(values([result("30s", [[90, 1], [120, 2]])])).toEqual([[1, 1, 2, 2, 2, null, null]]);
    expect(values([result("1m", [[103, 7]])])).toEqual([[null, 7, 7, 7, 7, 7, 7]]);
    expect(values([result("1s", [[120, null], [130, 3]])])).toEqual([[null, null, null, 3, null, null, null]]);
  });
  test("without a window, over the whole range", () => expect(values([result(null, [[100, 5]])])).toEqual([[5, 5, 5, 5, 5, 5, 5]]));
  test("are told apart by function and window only where they differ", () => {
    const [a, b] = [result("1m", [[100, 1]]), result("1m", [[100, 2], [110, 3]], { aggregation: "max" })];
    expect(labelsOf(a, [a])).toEqual({ __name__: "m", host: "a" });
    expect(labelsOf(a, [a, b])).toEqual({ __name__: "m", host: "a", aggregation: "avg" });
    expect(rowsOfBuckets("B", [b])).toEqual([{ id: "B", labels: { __name__: "m", host: "a" }, at: 110, value: 3 }]);
  });
});

test("warnings and infos name their place", () => {
  const query = "rate(system_cpu[1m])";
  expect(remarkIn(query, 'PromQL info: metric might not be a counter: "system_cpu" (1:6)')).toMatchObject({ from: 5, to: 15, severity: "info", message: 'PromQL info: metric might not be a counter: "system_cpu"' });
  expect(remarkIn(query, "PromQL warning: bucket label missing (1:1)")).toMatchObject({ from: 0, severity: "warning" });
  expect(remarkIn(query, "results truncated due to limit")).toBeNull();
});

test("what a metric is first asked as, and as a heat map", () => {
  expect(suggestion("http_requests_total", "counter", 300)).toBe("rate(http_requests_total[60s])");
  expect(suggestion("up", "gauge", 300)).toBe("up");
  expect(heatQuery('x_bucket{job="a"}', 86_400)).toBe('sum by (le) (rate(x_bucket{job="a"}[1440s]))');
  expect(heatQuery("latency", 300)).toBe("sum(rate(latency[60s]))");
  expect(heatQuery("sum(a) by (le)", 300)).toBe("sum(a) by (le)");
});
