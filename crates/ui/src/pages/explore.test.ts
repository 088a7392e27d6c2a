import { describe, expect, test } from "vitest";
import { pressedHead, sortedBy } from "../ui/table";
import { allowedStep, cellText, columnsOf, readExplore } from "./explore";
import { atStep, SECTIONS, TILES } from "./overview";

const read = (text: string) => readExplore(new URLSearchParams(text));
const row = (labels: Record<string, string>, value = 1) => ({ labels, at: 0, value });

test("the view is read from the address, what is wrong in it is left out", () => {
  expect(read("q=up&view=table&step=30s&unit=bytes")).toEqual({ query: "up", show: "table", step: 30, unit: "bytes" });
  expect(read("view=graph&step=never&unit=apples")).toEqual({ query: "", show: "chart", step: null, unit: null });
});

test("a step too fine for the server is made coarser", () => expect(allowedStep(1, 86_400)).toBe(8));

describe("columns", () => {
  test("are the labels that tell rows apart", () => {
    const rows = [row({ __name__: "up", job: "a" }), row({ __name__: "up", job: "b" })];
    const { columns, shared } = columnsOf(rows);
    expect(columns.map((column) => column.title)).toEqual(["job", "Value"]);
    expect(shared).toEqual({ __name__: "up" });
    expect(rows.map((one) => cellText(one, columns[0]?.id ?? ""))).toEqual(["a", "b"]);
  });
  test("are one text for a single row, or for many labels", () => {
    expect(columnsOf([row({ a: "1" })]).columns.map((column) => column.id)).toEqual(["series", "value"]);
    const many = [0, 1].map((n) => row(Object.fromEntries([..."abcdefgh"].map((name) => [name, String(n)]))));
    expect(columnsOf(many).columns[0]?.id).toBe("series");
  });
});

test("sorting turns on a second press and keeps what is no number last", () => {
  const value = { id: "value", title: "Value", number: true };
  const first = pressedHead(null, value);
  expect(first).toEqual({ column: "value", descending: true });
  expect(pressedHead(first, value).descending).toBe(false);
  expect(sortedBy([1, NaN, 3, 2], (n) => n, true)).toEqual([3, 2, 1, NaN]);
  expect(sortedBy([1, NaN, 3, 2], (n) => n, false)).toEqual([1, 2, 3, NaN]);
});

test("Overview's rates never look at less than ten seconds, nor at less than a step", () => {
  expect(atStep("rate(x[$w])", 1)).toBe("rate(x[10s])");
  expect(atStep("rate(x[$w])", 60)).toBe("rate(x[60s])");
});

test("the live stream takes all queries of Overview at once", () => {
  const queries = new Set([...SECTIONS.flatMap((section) => section.panels.flatMap((panel) => panel.queries.map((query) => query.expr))), ...TILES.flatMap((tile) => [tile.expr, tile.of?.expr])]);
  expect(queries.size).toBeLessThanOrEqual(64);
});
