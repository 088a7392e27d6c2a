/** A rule as the form has it, as the server takes it, and as YAML of a rule file. Pure. */
import type { Rule } from "../../api/alerts";
import type { Labels } from "../../promql/series";
import { conditionOf, durationText } from "./words";

export const KINDS = ["threshold", "anomaly", "trend", "correlation", "health", "version"] as const;

/** What is typed: everything is text. Labels and annotations are lines `name: value`. */
export interface Form {
  name: string;
  group: string;
  kind: string;
  severity: string;
  expr: string;
  for: string;
  keep_firing_for: string;
  summary: string;
  labels: string;
  annotations: string;
  escalation: string;
  runbook_url: string;
  /** Of its kind: lines `name: value`. */
  params: string;
}

export const EMPTY: Form = { name: "", group: "", kind: "threshold", severity: "warning", expr: "", for: "5m", keep_firing_for: "", summary: "", labels: "", annotations: "", escalation: "", runbook_url: "", params: "" };

export function formOf(rule: Rule): Form {
  const { summary = "", runbook_url = "", ...annotations } = rule.annotations;
  return {
    name: rule.name,
    group: rule.group,
    kind: rule.kind === "" ? "threshold" : rule.kind,
    severity: rule.severity,
    expr: rule.expr,
    for: durationText(rule.for),
    keep_firing_for: durationText(rule.keep_firing_for),
    summary,
    labels: linesOf(Object.fromEntries(Object.entries(rule.labels).filter(([name]) => name !== "severity"))),
    annotations: linesOf(annotations),
    escalation: rule.escalation ?? "",
    runbook_url: rule.runbook_url ?? runbook_url,
    params: linesOf(Object.fromEntries(Object.entries(rule.params).filter(([, value]) => value !== null).map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]))),
  };
}

const linesOf = (pairs: Labels): string => Object.entries(pairs).map(([name, value]) => `${name}: ${value.replaceAll("\n", " ")}`).join("\n");

/** `null` where a line is no pair. */
export function readLines(text: string): Record<string, string> | null {
  const lines = text.split("\n").filter((line) => line.trim() !== "").map((line) => /^\s*([\w.-]+)\s*:\s*(.*?)\s*$/.exec(line));
  if (lines.some((line) => line === null)) return null;
  return Object.fromEntries(lines.flatMap((line) => (line === null ? [] : [[line[1] ?? "", line[2] ?? ""]])));
}

/** What is missing or cannot be read, as a sentence; empty when all is well. */
export function faultOf(form: Form): string {
  if (form.name.trim() === "") return "It needs a name.";
  if (form.expr.trim() === "" && (form.kind === "threshold" || form.kind === "anomaly" || form.kind === "trend")) return "It needs an expression.";
  for (const [field, text] of [["Labels", form.labels], ["Annotations", form.annotations], ["Parameters", form.params]] as const) {
    if (readLines(text) === null) return `${field} are lines of the form name: value.`;
  }
  return "";
}

/** The rule as the keys of a rule file; what was left empty is left out. */
export function ruleOf(form: Form): Record<string, unknown> {
  const params = Object.fromEntries(Object.entries(readLines(form.params) ?? {}).map(([name, value]) => [name, valueOf(value)]));
  const annotations = { ...(form.summary !== "" && { summary: form.summary }), ...readLines(form.annotations) };
  return {
    alert: form.name.trim(),
    ...(form.kind !== "threshold" && { kind: form.kind }),
    ...(form.expr.trim() !== "" && { expr: form.expr.trim() }),
    ...(form.for !== "" && { for: form.for }),
    ...(form.keep_firing_for !== "" && { keep_firing_for: form.keep_firing_for }),
    ...params,
    ...(form.escalation !== "" && { escalation: form.escalation }),
    ...(form.runbook_url !== "" && { runbook_url: form.runbook_url }),
    labels: { ...(form.severity !== "" && { severity: form.severity }), ...readLines(form.labels) },
    ...(Object.keys(annotations).length > 0 && { annotations }),
  };
}

/** A number where it is one, what JSON says where it is a list or a map, else the text. */
function valueOf(text: string): unknown {
  if (/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) || /^(true|false|\[.*\]|\{.*\})$/s.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  }
  return text;
}

/** The same as YAML. */
export function yamlOf(rule: Record<string, unknown>, indent = ""): string {
  return Object.entries(rule)
    .map(([name, value]) => {
      if (typeof value === "object" && value !== null && !Array.isArray(value)) {
        const inside = value as Record<string, unknown>;
        return Object.keys(inside).length === 0 ? "" : `${indent}${name}:\n${yamlOf(inside, `${indent}  `)}`;
      }
      return `${indent}${name}: ${scalar(value)}\n`;
    })
    .join("");
}

/** Plain where nobody could read it otherwise; quoted text of JSON is YAML too. */
function scalar(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value);
  const is_plain = /^[A-Za-z][\w ./()*+<>=%-]*$/.test(value) && !/\s$|: |^(?:true|false|yes|no|on|off|null|y|n)$/i.test(value);
  return is_plain || /^\d+(?:ms|[smhdwy])$/.test(value) ? value : JSON.stringify(value);
}

/** What a preview advises; `null` of what may stay. */
export interface Advice {
  for: string | number | null;
  threshold: number | null;
  keep_firing_for?: string | null;
}

/** The form with what a preview advises. */
export function advised(form: Form, advice: Advice): Form {
  const condition = conditionOf(form.expr);
  return {
    ...form,
    ...(advice.for !== null && { for: durationText(advice.for) }),
    ...(typeof advice.keep_firing_for === "string" && { keep_firing_for: advice.keep_firing_for }),
    ...(advice.threshold !== null && condition !== null && { expr: `${condition.watched} ${condition.operator} ${advice.threshold}` }),
  };
}
