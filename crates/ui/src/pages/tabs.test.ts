import { expect, test } from "vitest";
import { tabOf } from "./tabs";

test("what stands in a list is of the list's tab", () => {
  const tabs = ["alerts", "alerts/rules", "alerts/silences"].map((path) => ({ path }));
  for (const [path, tab] of [["alerts", "alerts"], ["alerts/rules", "alerts/rules"], ["alerts/rules/web%2FSlow", "alerts/rules"], ["alerts/incidents/1", "alerts"], ["health", undefined], ["alertsx", undefined]] as const) {
    expect(tabOf(tabs, path)?.path).toBe(tab);
  }
});
