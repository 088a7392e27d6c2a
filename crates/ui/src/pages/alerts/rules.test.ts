import { expect, test } from "vitest";
import { advised, EMPTY, faultOf, formOf, readLines, ruleOf, yamlOf } from "./rules";
import type { Rule } from "../../api/alerts";

const form = { ...EMPTY, name: "Slow", expr: "p99 > 0.5", summary: "p99 is {{ $value }}", labels: "team: web", params: "clear_threshold: 0.4\nmissing: keep" };

test("what is typed becomes the keys of a rule file", () => {
  expect(ruleOf(form)).toEqual({ alert: "Slow", expr: "p99 > 0.5", for: "5m", clear_threshold: 0.4, missing: "keep", labels: { severity: "warning", team: "web" }, annotations: { summary: "p99 is {{ $value }}" } });
});

test("and YAML, quoted where that could be read otherwise", () => {
  expect(yamlOf(ruleOf(form))).toBe('alert: Slow\nexpr: p99 > 0.5\nfor: 5m\nclear_threshold: 0.4\nmissing: keep\nlabels:\n  severity: warning\n  team: web\nannotations:\n  summary: "p99 is {{ $value }}"\n');
  const check = (value: unknown, expected: string) => expect(yamlOf({ a: value })).toBe(`a: ${expected}\n`);
  check("yes", '"yes"');
  check("3", '"3"');
  check('sum(rate(x{a="b"}[5m])) > 1', '"sum(rate(x{a=\\"b\\"}[5m])) > 1"');
  check([1, 2], "[1,2]");
  check("a: b", '"a: b"');
});

test("a rule of the server comes back as it was", () => {
  const rule = { name: "Slow", group: "g", kind: "threshold", severity: "warning", expr: "p99 > 0.5", for: 300, keep_firing_for: 0, labels: { severity: "warning", team: "web" }, annotations: { summary: "p99 is {{ $value }}" }, escalation: null, runbook_url: null, params: { clear_threshold: 0.4, missing: "keep", threshold: null } } as unknown as Rule;
  expect(ruleOf(formOf(rule))).toEqual(ruleOf(form));
});

test("faults are told", () => {
  expect(faultOf(form)).toBe("");
  expect(faultOf({ ...form, name: " " })).toContain("name");
  expect(faultOf({ ...form, expr: "" })).toContain("expression");
  expect(faultOf({ ...form, labels: "nonsense" })).toContain("Labels");
  expect(readLines("a: b: c\n\n")).toEqual({ a: "b: c" });
});

test("advice goes into the form", () => {
  const better = advised(form, { for: "10m", threshold: 0.7 });
  expect([better.for, better.expr]).toEqual(["10m", "p99 > 0.7"]);
  expect(advised({ ...form, expr: "absent(up)" }, { for: null, threshold: 1 }).expr).toBe("absent(up)");
});
