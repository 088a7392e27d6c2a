/** What each query of the page asks of the server, and what that answered. Pure. */
import type { ApiError, Provenance } from "../../api/client";
import type { Asked as Explained } from "../../api/explore";
import { documentAt, readDraft, withDimension } from "../../json/document";
import { placeOf, treeOf } from "../../json/tree";
import { problemIn } from "../../promql/problem";
import { parseDuration, type Span } from "../../time/range";
import { duration } from "../../units/format";
import { remarkIn, type Remark } from "./answers";
import { expanded, placeInFormula, type Formula } from "./formula";
import type { Compare, Query } from "./state";

/** A query that can be asked. */
export type Asked = { id: string; hidden: boolean } & ({ kind: "promql"; expr: string; formula: Formula | null } | { kind: "json"; text: string });

/** What is wrong before anything is asked. */
export interface Unasked {
  id: string;
  problem: string;
  from: number;
  to: number;
}

export function resolved(queries: readonly Query[]): (Asked | Unasked)[] {
  return queries.flatMap((query): (Asked | Unasked)[] => {
    const { id, hidden, language, text } = query;
    if (text.trim() === "") return [];
    if (language === "promql") return [{ id, hidden, kind: "promql", expr: text, formula: null }];
    if (language === "json") {
      const document = documentAt(text, 0, 0);
      return "message" in document ? [{ id, problem: document.message, from: document.from, to: document.to }] : [{ id, hidden, kind: "json", text }];
    }
    const formula = expanded(id, text, queries);
    return "problem" in formula ? [{ id, ...formula }] : [{ id, hidden, kind: "promql", expr: formula.expr, formula }];
  });
}

export const canAsk = (one: Asked | Unasked): one is Asked => !("problem" in one);

/** What a query's answer has to say besides its data. */
export interface Report {
  error: ApiError | null;
  notes: readonly string[];
  provenance: Provenance | null;
}

/** The marks of a query's editor, of its text as it was run. */
export function marksOf(query: Query, asked: Asked | Unasked | undefined, report: Report | undefined): Remark[] {
  const { text } = query;
  const whole = (message: string, from = 0, to = text.length): Remark => ({ from, to, line: 0, column: 0, message, severity: "error" });
  if (asked === undefined) return [];
  if (!canAsk(asked)) return [whole(asked.problem, asked.from, asked.to)];
  const { error = null, notes = [] } = report ?? {};
  if (asked.kind === "json") {
    if (error === null || error.path === null) return [];
    const { from, to } = placeOf(treeOf(text), error.path);
    return [whole(error.message, from, to)];
  }
  const { expr, formula } = asked;
  const problem = error?.kind === "refused" ? problemIn(expr, error.message) : null;
  const remarks: Remark[] = [...(problem === null ? [] : [{ ...problem, severity: "error" as const }]), ...notes.flatMap((note) => remarkIn(expr, note) ?? [])];
  return formula === null ? remarks : remarks.map((remark) => ({ ...remark, ...placeInFormula(formula, remark.from, remark.to) }));
}

/** How far back the comparison lies, in whole steps; `null` when it is not one of time. */
export function shiftOf(compare: Compare | null, seconds: number, step: number): number | null {
  if (compare === null || compare.kind === "version") return null;
  return Math.max(1, Math.ceil((compare.kind === "previous" ? seconds : compare.seconds) / step)) * step;
}

export function compareName(compare: Compare): string {
  switch (compare.kind) {
    case "previous":
      return "previous period";
    case "before":
      return `${duration(compare.seconds)} before`;
    case "version":
      return `${compare.label} ${compare.value}`;
  }
}

/** A document of another version. */
export const documentOfVersion = (text: string, compare: Compare & { kind: "version" }): string => withDimension(text, compare.label, compare.value);

/** What to explain of a query. */
export function toExplain(asked: Asked, span: Span, step: number): Explained {
  if (asked.kind === "promql") return { query: asked.expr, start: span.from, end: span.to, step };
  const made = documentAt(asked.text, span.from * 1000, span.to * 1000);
  return { document: "document" in made ? made.document : {} };
}

/** What to translate of a query: of a document whole buckets, since those that a range cuts off are asked apart. */
export function toTranslate(asked: Asked, span: Span, step: number): Explained {
  if (asked.kind === "promql") return toExplain(asked, span, step);
  const draft = readDraft(asked.text);
  const window = "message" in draft ? "" : (draft.aggregations[0]?.window ?? "");
  const width = parseDuration(window) ?? WINDOW_MAX;
  return toExplain(asked, { from: Math.floor(span.from / width) * width, to: Math.ceil(span.to / width) * width }, step);
}

/** The longest window that `auto` stands for, seconds. */
const WINDOW_MAX = 3600;

/** Offsets of a plan's node, which counts bytes of UTF-8, in the query's own text. */
export function placeOfNode(asked: Asked, from: number, to: number): { from: number; to: number } | null {
  if (asked.kind === "json") return null;
  const [a, b] = [unitsAt(asked.expr, from), unitsAt(asked.expr, to)];
  return asked.formula === null ? { from: a, to: b } : placeInFormula(asked.formula, a, b);
}

function unitsAt(text: string, bytes: number): number {
  let [left, units] = [bytes, 0];
  for (const character of text) {
    if (left <= 0) break;
    const code = character.codePointAt(0) ?? 0;
    left -= code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    units += character.length;
  }
  return units;
}
