import { expect, test } from "vitest";
import type { Alert, Incident } from "../../api/alerts";
import { chosenOf, readAsked, rowsOf } from "./inbox";
import { toastOf } from "./toasts";

const incident = (id: string, severity: string, opened_at = "2026-01-01T00:00:00Z"): Incident => ({ id, severity, opened_at }) as Incident;
const alert = (id: string, incident_id: string | null, severity = "warning"): Alert => ({ id, incident_id, severity, labels: { alertname: id }, starts_at: "" }) as unknown as Alert;
const asked = (text: string) => readAsked(new URLSearchParams(text));

test("the worst incident is first, with its alerts below; then what is in none", () => {
  const rows = rowsOf([incident("i1", "warning"), incident("i2", "critical")], [alert("b", "i1"), alert("a", "i1"), alert("c", "i2"), alert("d", null)], asked(""));
  expect(rows.map(({ id }) => id)).toEqual(["i2", "c", "i1", "a", "b", "d"]);
});

test("of many alerts the worst few stand below their incident, unless all are wanted", () => {
  const many = Array.from({ length: 9 }, (_, i) => alert(`m${i}`, "i1", i === 8 ? "critical" : "warning"));
  const ids = (text: string) => rowsOf([incident("i1", "warning")], many, asked(text)).map(({ id }) => id);
  expect(ids("")).toEqual(["i1", "m8", "m0", "m1", "m2", "m3", "i1 more"]);
  expect(ids("members=all").length).toBe(10);
  expect(rowsOf([incident("i1", "warning")], many.slice(0, 6), asked("")).length).toBe(7);
});

test("filters of the address", () => {
  const incidents = [incident("i1", "warning"), incident("i2", "critical")];
  expect(rowsOf(incidents, [alert("a", "i1")], asked("severity=warning&members=no")).map(({ id }) => id)).toEqual(["i1"]);
  expect(rowsOf(incidents, [alert("a", "i1")], asked("filter=job=x")).map(({ id }) => id)).toEqual(["i1", "a"]);
  expect(asked("state=nonsense").state).toBe("active");
});

test("a chosen alert stands for its incident, once", () => {
  const rows = rowsOf([incident("i1", "warning")], [alert("a", "i1"), alert("b", "i1"), alert("c", null)], asked(""));
  const { incidents, alone, alerts } = chosenOf(rows, new Set(["a", "b", "c"]));
  expect([incidents.map(({ id }) => id), alone.map(({ id }) => id), alerts.map(({ id }) => id)]).toEqual([["i1"], ["c"], ["a", "b", "c"]]);
});

test("what is for information is said, and nothing else", () => {
  const event = (document: unknown) => ({ name: "x", id: "", data: typeof document === "string" ? document : JSON.stringify(document) });
  expect(toastOf(event({ severity: "info", message: "Backup done" }))).toBe("Backup done");
  expect(toastOf(event({ severity: "info", metric_name: "queue", current_value: 3, threshold_value: 5, threshold_type: "min" }))).toBe("queue is 3, below 5");
  for (const none of [{ severity: "critical", message: "x" }, { severity: "info" }, null, 3, "{"]) expect(toastOf(event(none))).toBeNull();
});
