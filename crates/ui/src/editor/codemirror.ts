/** CodeMirror with PromQL: the only importer of it, fetched when the editor first shows. */
import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { setDiagnostics } from "@codemirror/lint";
import { EditorState, Prec, StateEffect, StateField, type Extension } from "@codemirror/state";
import { Decoration, EditorView, keymap, placeholder, type DecorationSet } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { EqlRegex, EqlSingle, Neq, NeqRegex } from "@prometheus-io/lezer-promql";
import { PromQLExtension, type PrometheusClient } from "@prometheus-io/codemirror-promql";
import type { Completions } from "./completions";

/** A half-open range of the text, with something to say about it. */
export interface Mark {
  from: number;
  to: number;
  severity: "error" | "warning" | "info";
  message: string;
}

export interface Editor {
  setText(text: string): void;
  setMarks(marks: readonly Mark[]): void;
  /** Tints a part of the text, or none. */
  setTint(part: { from: number; to: number } | null): void;
  /** In place of what is selected. */
  insert(text: string): void;
  focus(): void;
  destroy(): void;
}

export type Language = "promql" | "json";

interface Setup {
  language: Language;
  /** What the field is to assistive technology. */
  label: string;
  placeholder: string;
  text: string;
  completions: Completions;
  onrun: (text: string) => void;
  onchange: (text: string) => void;
}

export function createEditor(root: ShadowRoot, { language, label, placeholder: hint, text, completions, onrun, onchange }: Setup): Editor {
  const run = (view: EditorView): boolean => {
    onrun(view.state.doc.toString());
    return true;
  };
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: text,
      extensions: [
        history(),
        bracketMatching(),
        closeBrackets(),
        autocompletion({ icons: false }),
        syntaxHighlighting(COLORS),
        THEME,
        TINT,
        placeholder(hint),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": label }),
        language === "promql" ? promqlOf(completions) : StreamLanguage.define(JSON_TOKENS),
        // Below the keys of the completion list, so that Enter there still accepts.
        keymap.of([
          { key: "Tab", run: acceptCompletion },
          { key: "Alt-Enter", run: insertNewlineAndIndent },
          ...completionKeymap,
          // A document has lines, an expression mostly has one.
          ...(language === "promql" ? [{ key: "Enter", run, shift: run }] : []),
          { key: "Mod-Enter", run },
        ]),
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap]),
        Prec.lowest(EditorView.updateListener.of((update) => update.docChanged && onchange(update.state.doc.toString()))),
      ],
    }),
  });
  return {
    setText(next) {
      const now = view.state.doc.toString();
      if (now !== next) view.dispatch({ changes: { from: 0, to: now.length, insert: next } });
    },
    setMarks(marks) {
      const end = view.state.doc.length;
      const within = marks.map(({ from, to, severity, message }) => ({ from: Math.min(from, end), to: Math.min(to, end), severity, message }));
      view.dispatch(setDiagnostics(view.state, within));
    },
    setTint(part) {
      view.dispatch({ effects: tinted.of(part) });
    },
    insert(fresh) {
      const { from, to } = view.state.selection.main;
      view.dispatch({ changes: { from, to, insert: fresh }, selection: { anchor: from + fresh.length }, scrollIntoView: true });
      view.focus();
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}

function promqlOf(completions: Completions): Extension {
  return new PromQLExtension().activateLinter(false).setComplete({ remote: clientOf(completions), maxMetricsMetadata: 20_000 }).asExtension();
}

const tinted = StateEffect.define<{ from: number; to: number } | null>();
const TINT = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(tints, transaction) {
    let next = tints.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (!effect.is(tinted)) continue;
      const end = transaction.newDoc.length;
      const part = effect.value === null ? null : { from: Math.min(effect.value.from, end), to: Math.min(effect.value.to, end) };
      next = part === null || part.from >= part.to ? Decoration.none : Decoration.set(Decoration.mark({ class: "cm-tint" }).range(part.from, part.to));
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** Enough of JSON to colour it: keys, texts, numbers and words. */
const JSON_TOKENS = {
  name: "json",
  startState: () => ({}),
  token(stream: { match(pattern: RegExp): unknown; next(): unknown; eatSpace(): boolean }): string | null {
    if (stream.eatSpace()) return null;
    if (stream.match(/^"(?:[^"\\]|\\.)*"(?=\s*:)/)) return "labelName";
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return "string";
    if (stream.match(/^-?\d[\d.eE+-]*/)) return "number";
    if (stream.match(/^(?:true|false|null)\b/)) return "modifier";
    stream.next();
    return null;
  },
};

/** Our completions in the shape that the PromQL package asks. */
function clientOf(completions: Completions): PrometheusClient {
  return {
    metricNames: () => completions.metrics(),
    labelNames: (metric = "") => completions.labels(metric),
    labelValues: (label, metric = "", matchers = []) =>
      completions.values(
        label,
        metric,
        matchers.map(({ name, type, value }) => ({ name, op: OPERATORS[type] ?? "=", value })),
      ),
    metricMetadata: () => completions.facts(),
    series: async (metric) => (await completions.series(metric)).map((labels) => new Map(Object.entries(labels))),
    flags: () => Promise.resolve({}),
  };
}

const OPERATORS: Readonly<Record<number, string>> = { [EqlSingle]: "=", [Neq]: "!=", [EqlRegex]: "=~", [NeqRegex]: "!~" };

/** Colours by the page's tokens: they reach into the shadow root, style sheets do not. */
const COLORS = HighlightStyle.define([
  { tag: tags.function(tags.variableName), color: "var(--syntax-function)" },
  { tag: tags.operatorKeyword, color: "var(--syntax-function)" },
  { tag: [tags.modifier, tags.logicOperator], color: "var(--syntax-word)" },
  { tag: tags.string, color: "var(--syntax-string)" },
  { tag: tags.number, color: "var(--syntax-number)" },
  { tag: tags.labelName, color: "var(--syntax-label)" },
  { tag: tags.comment, color: "var(--text-soft)", fontStyle: "italic" },
]);

const THEME = EditorView.theme({
  "&": { color: "var(--text)", fontSize: "14px", backgroundColor: "transparent" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "20px" },
  ".cm-content": { padding: "9px 0", caretColor: "var(--text)" },
  ".cm-line": { padding: "0 12px" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-placeholder": { color: "var(--text-soft)" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--accent-faint)", outline: "1px solid var(--accent)" },
  ".cm-lintRange-error": {
    backgroundImage: "none",
    textDecoration: "underline wavy var(--critical)",
    textDecorationSkipInk: "none",
    textUnderlineOffset: "4px",
    backgroundColor: "var(--critical-back)",
  },
  ".cm-lintRange-warning, .cm-lintRange-info": {
    backgroundImage: "none",
    textDecoration: "underline dotted var(--warning)",
    textDecorationSkipInk: "none",
    textUnderlineOffset: "4px",
  },
  ".cm-lintRange-info": { textDecorationColor: "var(--accent)" },
  ".cm-tint": { backgroundColor: "var(--select)", outline: "1px solid var(--accent)", borderRadius: "2px" },
  ".cm-tooltip": {
    border: "1px solid var(--line)",
    borderRadius: "6px",
    backgroundColor: "var(--raised)",
    color: "var(--text)",
    boxShadow: "var(--shadow)",
    overflow: "hidden",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "12px", maxHeight: "280px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "4px 12px", lineHeight: "16px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--accent-text)" },
  ".cm-completionDetail": { color: "var(--text-soft)", fontStyle: "normal" },
  "li[aria-selected] .cm-completionDetail": { color: "inherit" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "600" },
  ".cm-completionInfo": { padding: "8px 12px", maxWidth: "320px" },
  ".cm-tooltip-lint": { maxWidth: "480px" },
  ".cm-diagnostic": { padding: "8px 12px", borderLeft: "3px solid var(--critical)" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--warning)" },
  ".cm-diagnostic-info": { borderLeftColor: "var(--accent)" },
});
