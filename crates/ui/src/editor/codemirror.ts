/** CodeMirror with PromQL: the only importer of it, fetched when the editor first shows. */
import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { setDiagnostics } from "@codemirror/lint";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { EqlRegex, EqlSingle, Neq, NeqRegex } from "@prometheus-io/lezer-promql";
import { PromQLExtension, type PrometheusClient } from "@prometheus-io/codemirror-promql";
import type { Problem } from "../promql/problem";
import type { Completions } from "./completions";

export interface Editor {
  setText(text: string): void;
  setProblem(problem: Problem | null): void;
  focus(): void;
  destroy(): void;
}

interface Setup {
  text: string;
  completions: Completions;
  onrun: (text: string) => void;
  onchange: (text: string) => void;
}

export function createEditor(root: ShadowRoot, { text, completions, onrun, onchange }: Setup): Editor {
  const promql = new PromQLExtension().activateLinter(false).setComplete({ remote: clientOf(completions), maxMetricsMetadata: 20_000 });
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
        placeholder("Expression, for example rate(http_requests_total[5m])"),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": "PromQL expression" }),
        promql.asExtension(),
        // Below the keys of the completion list, so that Enter there still accepts.
        keymap.of([
          { key: "Tab", run: acceptCompletion },
          { key: "Alt-Enter", run: insertNewlineAndIndent },
          ...completionKeymap,
          { key: "Enter", run, shift: run },
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
    setProblem(problem) {
      const end = view.state.doc.length;
      const marks = problem === null ? [] : [{ from: Math.min(problem.from, end), to: Math.min(problem.to, end), severity: "error" as const, message: problem.message }];
      view.dispatch(setDiagnostics(view.state, marks));
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}

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
});
