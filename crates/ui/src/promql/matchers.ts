/** A PromQL expression with one more condition in each of its selectors. Carries the parser: fetched when it is wanted. */
import { parser } from "@prometheus-io/lezer-promql";
import { quote } from "./series";

/** `expression` asked of the series whose `label` is `value`; conditions that it has on that label already go. */
export function withMatcher(expression: string, label: string, value: string): string {
  const matcher = `${/^[a-zA-Z_]\w*$/.test(label) ? label : quote(label)}=${quote(value)}`;
  const edits: { from: number; to: number; text: string }[] = [];
  parser.parse(expression).iterate({
    enter({ name, node }) {
      if (name !== "VectorSelector") return true;
      const braces = node.getChild("LabelMatchers");
      if (braces === null) edits.push({ from: node.to, to: node.to, text: `{${matcher}}` });
      else {
        const kept: string[] = [];
        for (let child = braces.firstChild; child !== null; child = child.nextSibling) {
          const text = expression.slice(child.from, child.to);
          if (/Matcher$|^QuotedLabelName$/.test(child.name) && !isOn(text, label)) kept.push(text);
        }
        edits.push({ from: braces.from, to: braces.to, text: `{${[...kept, matcher].join(", ")}}` });
      }
      return false;
    },
  });
  return edits.reduceRight((text, edit) => text.slice(0, edit.from) + edit.text + text.slice(edit.to), expression);
}

/** Whether a matcher is one on that label. */
function isOn(matcher: string, label: string): boolean {
  const name = /^\s*("(?:[^"\\]|\\.)*"|[\w]+)\s*(?:=~|!~|!=|=)/.exec(matcher)?.[1];
  return name === label || name === quote(label);
}
