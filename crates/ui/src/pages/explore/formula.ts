/**
 * Formulas over queries: `A / B` becomes one PromQL expression, the letters replaced by what they stand for, in parentheses. Pure.
 *
 * Places in that expression lead back to places in the formula; what lies inside a replaced letter is the letter.
 */
import type { Query } from "./state";

export interface Formula {
  expr: string;
  /** Where letters were replaced: half-open ranges of the expression and of the formula. */
  parts: readonly { from: number; to: number; at: number; letter: string }[];
}

/** Why there is no expression, and at which letter. */
export interface NoFormula {
  problem: string;
  from: number;
  to: number;
}

export function expanded(id: string, text: string, queries: readonly Query[], within: readonly string[] = []): Formula | NoFormula {
  let expr = "";
  let done = 0;
  const parts: Formula["parts"][number][] = [];
  for (const { letter, at } of lettersIn(text)) {
    const value = valueOf(letter, queries, [...within, id]);
    if ("problem" in value) return { problem: value.problem, from: at, to: at + 1 };
    expr += text.slice(done, at);
    parts.push({ from: expr.length, to: expr.length + value.expr.length + 2, at, letter });
    expr += `(${value.expr})`;
    done = at + 1;
  }
  if (text.trim() === "") return { problem: "write a formula over queries, for example A / B", from: 0, to: text.length };
  if (parts.length === 0) return { problem: "a formula names at least one query by its letter, for example A / B", from: 0, to: text.length };
  return { expr: expr + text.slice(done), parts };
}

function valueOf(letter: string, queries: readonly Query[], within: readonly string[]): { expr: string } | { problem: string } {
  if (within.includes(letter)) return { problem: `${letter} would depend on itself` };
  const query = queries.find((one) => one.id === letter);
  if (query === undefined) return { problem: `there is no query ${letter}` };
  if (query.language === "json") return { problem: `${letter} is a JSON query, and a formula is computed as one PromQL expression: switch ${letter} to PromQL first, or use a calculation inside it` };
  if (query.text.trim() === "") return { problem: `query ${letter} is empty` };
  if (query.language === "promql") return { expr: withoutComments(query.text).trim() };
  const inner = expanded(letter, query.text, queries, within);
  return "problem" in inner ? { problem: `in ${letter}: ${inner.problem}` } : { expr: inner.expr };
}

/** A comment runs to the end of its line, and would take the closing parenthesis with it. */
function withoutComments(text: string): string {
  return text.replace(/("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)|#[^\n]*/g, (_, quoted: string | undefined) => quoted ?? "");
}

/** Single capital letters that stand by themselves, outside quotes, matchers, comments and lists of labels. */
function lettersIn(text: string): { letter: string; at: number }[] {
  const blank = (found: string): string => " ".repeat(found.length);
  const bare = text
    .replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|#[^\n]*/g, blank)
    .replace(/\{[^}]*\}/g, blank)
    .replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/gi, blank);
  return [...bare.matchAll(/(?<![\w:.])[A-Z](?![\w:(])/g)].map((match) => ({ letter: match[0], at: match.index }));
}

/** The range of the formula that a range of its expression comes from. */
export function placeInFormula(formula: Formula, from: number, to: number): { from: number; to: number } {
  const back = (offset: number, is_end: boolean): number => {
    let gained = 0;
    for (const part of formula.parts) {
      if (offset >= part.to) gained += part.to - part.from - 1;
      else if (offset > part.from || (offset === part.from && !is_end)) return part.at + (is_end ? 1 : 0);
      else break;
    }
    return offset - gained;
  };
  return { from: back(from, false), to: back(to, true) };
}
