import { expect, test } from "vitest";
import { atStep, SECTIONS, TILES } from "./overview";

test("Overview's rates never look at less than ten seconds, nor at less than a step", () => {
  expect(atStep("rate(x[$w])", 1)).toBe("rate(x[10s])");
  expect(atStep("rate(x[$w])", 60)).toBe("rate(x[60s])");
});

test("the live stream takes all queries of Overview at once", () => {
  const queries = new Set([...SECTIONS.flatMap((section) => section.panels.flatMap((panel) => panel.queries.map((query) => query.expr))), ...TILES.flatMap((tile) => [tile.expr, tile.of?.expr])]);
  expect(queries.size).toBeLessThanOrEqual(64);
});
