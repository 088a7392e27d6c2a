/** What the palette offers, and which of it fits what was typed. */
export interface Choice {
  kind: string;
  name: string;
  run: () => void;
}

/** Entries shown at once. */
const FOUND_MAX = 50;

/** Those that contain every typed word, best first: at the start of the name, then at the start of a word, then anywhere. */
export function matching(choices: readonly Choice[], text: string): Choice[] {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "");
  if (words.length === 0) return choices.filter((choice) => choice.kind !== "Metric").slice(0, FOUND_MAX);
  return choices
    .map((choice) => ({ choice, rank: rankOf(choice.name.toLowerCase(), words) }))
    .filter(({ rank }) => rank > 0)
    .sort((a, b) => b.rank - a.rank || a.choice.name.length - b.choice.name.length)
    .slice(0, FOUND_MAX)
    .map(({ choice }) => choice);
}

function rankOf(name: string, words: readonly string[]): number {
  let rank = 0;
  for (const word of words) {
    const at = name.indexOf(word);
    if (at < 0) return 0;
    rank += at === 0 ? 3 : /[\s_:.]/.test(name[at - 1] ?? "") ? 2 : 1;
  }
  return rank;
}
