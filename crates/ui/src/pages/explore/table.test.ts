import { describe, expect, test } from "vitest";
import { pressedHead, sortedBy } from "../../ui/table";
import { cellText, columnsOf } from "./table";

const row = (labels: Record<string, string>, id = "A") => ({ id, labels, at: 0, value: 1 });

describe("columns", () => {
  test("are the labels that tell rows apart", () => {
    const rows = [row({ __name__: "up", job: "a" }), row({ __name__: "up", job: "b" })];
    const { columns, shared } = columnsOf(rows);
    expect(columns.map((column) => column.title)).toEqual(["job", "Value"]);
    expect(shared).toEqual({ __name__: "up" });
    expect(rows.map((one) => cellText(one, columns[0]?.id ?? ""))).toEqual(["a", "b"]);
  });
  test("tell queries apart where there are several", () => {
    const { columns } = columnsOf([row({ job: "a" }), row({ job: "b" }, "B")]);
    expect(columns.map((column) => column.id)).toEqual(["query", "label job", "value"]);
    expect(cellText(row({}, "B"), "query")).toBe("B");
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
