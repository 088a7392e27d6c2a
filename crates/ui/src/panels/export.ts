/** What leaves a panel: CSV, and the `curl` line that asks the same. Pure. */
import type { Frame } from "../charts/frame";
import { seriesText, type Labels } from "../promql/series";
import { iso } from "../time/url";

/** A chart's data: a row per moment, a column per series, ISO 8601 times. A gap is an empty field. */
export function frameCsv(frame: Frame, names: readonly string[] = frame.lines.map((line) => seriesText(line.labels))): string {
  const head = ["time", ...names];
  const rows = frame.times.map((at, i) => [iso(at), ...frame.lines.map((line) => String(line.values[i] ?? ""))]);
  return csv([head, ...rows]);
}

/** A table's data: a row per series, a column per label that occurs. */
export function rowsCsv(rows: readonly { labels: Labels; at: number; value: number }[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.labels)))].sort();
  const head = [...names, "time", "value"];
  return csv([head, ...rows.map((row) => [...names.map((name) => row.labels[name] ?? ""), iso(row.at), String(row.value)])]);
}

/** RFC 4180, with the line ends it asks for. */
function csv(rows: readonly (readonly string[])[]): string {
  const field = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
  return rows.map((row) => `${row.map(field).join(",")}\r\n`).join("");
}

/** The command that posts a JSON document. */
export function curlJsonLine(url: string, document: unknown): string {
  return `curl -s ${shellQuote(url)} -H 'Content-Type: application/json' -d ${shellQuote(JSON.stringify(document))}`;
}

/** A command for a POSIX shell. */
export function curlLine(url: string, params: Readonly<Record<string, string | number>>): string {
  const data = Object.entries(params).map(([name, value]) => `--data-urlencode ${shellQuote(`${name}=${value}`)}`);
  return ["curl -s", shellQuote(url), ...data].join(" ");
}

export const shellQuote = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`);
