/** Answers as a table: which columns tell its rows apart, and what their cells say. Pure. */
import { seriesText, type Labels } from "../../promql/series";
import type { Column } from "../../ui/table";
import type { Row } from "./answers";

/** Label columns that fit beside each other; with more, the series is one text. */
const LABEL_COLUMNS_MAX = 6;

/** One column for each label that tells rows apart, else the whole series; and what all rows share. Several queries have theirs. */
export function columnsOf(rows: readonly Row[]): { columns: Column[]; shared: Labels } {
  const value: Column = { id: "value", title: "Value", number: true };
  const first = rows[0]?.labels ?? {};
  const query: Column[] = rows.some((row) => row.id !== rows[0]?.id) ? [{ id: "query", title: "Query" }] : [];
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.labels)))].sort();
  const shared = Object.fromEntries(names.filter((name) => rows.every((row) => row.labels[name] === first[name])).map((name) => [name, first[name] ?? ""]));
  const telling = names.filter((name) => !(name in shared));
  if (rows.length < 2 || telling.length === 0 || telling.length > LABEL_COLUMNS_MAX) {
    return { columns: [...query, { id: "series", title: "Series", wide: true }, value], shared: rows.length < 2 ? {} : shared };
  }
  const columns = telling.map((name, i) => ({ id: `label ${name}`, title: name === "__name__" ? "Metric" : name, ...(i === telling.length - 1 && { wide: true }) }));
  return { columns: [...query, ...columns, value], shared };
}

/** What a cell says, but for values. */
export function cellText(row: Row, column: string): string {
  if (column === "query") return row.id;
  return column === "series" ? seriesText(row.labels) : (row.labels[column.slice("label ".length)] ?? "");
}
