import { expect, test, vi } from "vitest";

vi.mock("../routes", () => ({ ROUTES: [{ path: "explore", title: "Explore", key: "e" }] }));
const { commandOf, KeySequence } = await import("./keys");
const { matching } = await import("./palette");

const press = (key: string, timeStamp: number, more = {}) => ({ key, timeStamp, ctrlKey: false, metaKey: false, altKey: false, ...more });

test("g and a page's letter, within the time that a hand takes", () => {
  const keys = new KeySequence();
  expect(commandOf(keys.take(press("g", 0)), false)).toBeNull();
  expect(commandOf(keys.take(press("e", 300)), false)).toEqual({ do: "open", path: "explore" });
  keys.take(press("g", 1000));
  expect(commandOf(keys.take(press("e", 9000)), false)).toBeNull();
});

test("while typing only Ctrl-K counts", () => {
  const keys = new KeySequence();
  expect(commandOf(keys.take(press("l", 0)), true)).toBeNull();
  expect(commandOf(keys.take(press("k", 0, { ctrlKey: true })), true)).toEqual({ do: "palette" });
  expect(commandOf(keys.take(press("l", 0)), false)).toEqual({ do: "live" });
  expect(commandOf(keys.take(press("l", 0, { ctrlKey: true })), false)).toBeNull();
});

test("the palette puts the start of a name before its middle", () => {
  const choice = (name: string, kind = "Metric") => ({ kind, name, run: () => undefined });
  const names = (text: string) => matching([choice("down_up"), choice("up"), choice("startup"), choice("Overview", "Page")], text).map((found) => found.name);
  expect(names("up")).toEqual(["up", "down_up", "startup"]);
  expect(names("")).toEqual(["Overview"]);
  expect(names("nothing")).toEqual([]);
});
