/**
 * Label sets as text: the full `name{a="b"}` form, and the short names by which a legend tells its series apart.
 */
export type Labels = Readonly<Record<string, string>>;

const PLAIN_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const PLAIN_LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

export const quote = (text: string): string => `"${text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")}"`;

/** The labels in name order as PromQL would select them; a name that is not plain goes quoted into the braces. */
export function seriesText(labels: Labels): string {
  const name = labels.__name__;
  const inside = pairs(labels).map(([label, value]) => `${PLAIN_LABEL.test(label) ? label : quote(label)}=${quote(value)}`);
  if (name !== undefined && !PLAIN_NAME.test(name)) inside.unshift(quote(name));
  const outside = name !== undefined && PLAIN_NAME.test(name) ? name : "";
  return inside.length === 0 && outside !== "" ? outside : `${outside}{${inside.join(", ")}}`;
}

/** A key that is equal exactly for equal label sets. */
export function seriesKey(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * One name per label set, as short as it can be while they differ: what all share is left out. A single series is named by
 * its metric, or by all its labels when it has none.
 */
export function shortNames(sets: readonly Labels[]): string[] {
  const first = sets[0];
  if (first === undefined) return [];
  if (sets.length === 1) return [first.__name__ ?? seriesText(first)];
  const differs = new Set<string>();
  for (const set of sets) {
    for (const label of [...Object.keys(set), ...Object.keys(first)]) {
      if (set[label] !== first[label]) differs.add(label);
    }
  }
  const names_differ = differs.delete("__name__");
  return sets.map((set) => {
    const kept = pairs(set).filter(([label]) => differs.has(label));
    const values = differs.size === 1 ? kept.map(([, value]) => value) : kept.map(([label, value]) => `${label}=${value}`);
    const name = names_differ ? (set.__name__ ?? "") : "";
    const text = [name, values.join(" ")].filter((part) => part !== "").join(" ");
    return text === "" ? seriesText(set) : text;
  });
}

function pairs(labels: Labels): [string, string][] {
  return Object.entries(labels)
    .filter(([label]) => label !== "__name__")
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
