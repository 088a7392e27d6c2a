/**
 * The place of a query error. The server says `invalid parameter "query": 1:5: parse error: …`: line and column, both from 1,
 * the column in bytes of UTF-8. The editor wants offsets into its text.
 */
export interface Problem {
  /** Half-open range of UTF-16 offsets; never empty unless the text is. */
  from: number;
  to: number;
  line: number;
  column: number;
  message: string;
}

/** `null` when the message names no place. */
export function problemIn(query: string, message: string): Problem | null {
  const match = /(?:^|[\s:"])(\d+):(\d+): (?:parse error: )?([\s\S]*)$/.exec(message);
  if (match === null) return null;
  const line = Number(match[1]);
  const column = Number(match[2]);
  const [from, to] = tokenAt(query, offsetOf(query, line, column));
  return { from, to, line, column, message: match[3] ?? "" };
}

function offsetOf(query: string, line: number, column: number): number {
  const lines = query.split("\n");
  const before = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  let bytes = column - 1;
  let units = 0;
  for (const character of lines[line - 1] ?? "") {
    if (bytes <= 0) break;
    bytes -= new TextEncoder().encode(character).length;
    units += character.length;
  }
  return Math.min(before + units, query.length);
}

/** The word or the one character at an offset; past the end it is the last character that is not a space. */
function tokenAt(query: string, offset: number): [number, number] {
  if (offset >= query.length) {
    const end = query.trimEnd().length;
    return [Math.max(0, end - 1), end];
  }
  const word = /^[\w:.]+|^\s*\S|^\s+/.exec(query.slice(offset))?.[0] ?? " ";
  return [offset, offset + word.length];
}
