/** Journeys on Explore, by role and visible text. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, open, server } from "./browser.js";

let to;
let chromium;
before(async () => {
  to = await server();
  chromium = await browser();
});
after(async () => {
  await chromium?.close();
  await to?.close();
});

const explore = (query, more = "") => `${to.url}/ui/explore?${more}q=${encodeURIComponent(query)}`;
const editor = (page) => page.getByRole("textbox", { name: "PromQL expression" });

test("a question is typed, completed, run, and is in the address", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/explore`);
  await editor(page).click();
  await page.keyboard.type("system_load_5");
  await page.getByRole("option", { name: /system_load_5m/ }).waitFor();
  // The list takes no key in its first moment, lest it catch one meant for the text.
  await page.waitForTimeout(200);
  await page.keyboard.press("Enter");
  await page.locator(".cm-line").filter({ hasText: /^system_load_5m$/ }).waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=system_load_5m/);
  await page.getByRole("img", { name: /^Answer\./ }).waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("the editor arrives only here", async () => {
  const page = await open(chromium);
  const scripts = [];
  page.on("request", (request) => scripts.push(request.url()));
  await page.goto(`${to.url}/ui/`);
  await page.locator("canvas").first().waitFor();
  assert.ok(!scripts.some((url) => /codemirror/.test(url)));
  await page.getByRole("link", { name: "Explore" }).click();
  await editor(page).waitFor();
  assert.ok(scripts.some((url) => /codemirror/.test(url)));
  await page.context().close();
});

test("a mistake is underlined where the server says it is", async () => {
  const page = await open(chromium);
  await page.goto(explore("sum(rate(up[5m]))) + 1"));
  const mark = page.locator(".cm-lintRange-error");
  await mark.waitFor();
  assert.equal(await mark.innerText(), ")");
  const before = await page.evaluate(() => {
    const root = document.querySelector(".host").shadowRoot;
    const range = document.createRange();
    range.setStart(root.querySelector(".cm-line"), 0);
    range.setEndBefore(root.querySelector(".cm-lintRange-error"));
    return range.toString();
  });
  assert.equal(before, "sum(rate(up[5m]))");
  await page.getByRole("alert").getByText("column 18").waitFor();
  await editor(page).click();
  await page.keyboard.press("Control+a");
  await page.keyboard.type("vector(1)");
  await mark.waitFor({ state: "detached" });
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("chart and table, units, CSV, the link and the command", async () => {
  const page = await open(chromium);
  await page.goto(explore("system_memory_total", "live=off&"));
  await page.getByRole("img", { name: /GiB|MiB/ }).waitFor();
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "CSV" }).click();
  assert.equal((await download).suggestedFilename(), "explore.csv");
  await page.getByRole("button", { name: "Copy curl" }).click();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^curl -s \S+\/api\/v1\/query_range --data-urlencode query=system_memory_total /);
  await page.getByRole("button", { name: "Copy link" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), page.url());
  await page.getByRole("button", { name: "Table" }).click();
  await page.waitForURL(/view=table/);
  await page.getByRole("cell", { name: /system_memory_total/ }).waitFor();
  await page.getByLabel("Unit").selectOption("number");
  await page.getByRole("cell", { name: /^[\d.]+\sG$/ }).waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a table of ten thousand rows scrolls", async (t) => {
  if (!to.is_mock) {
    // A page that is not live asks for a moment that has passed.
    const at = Date.now() - 10_000;
    const lines = Array.from({ length: 10_000 }, (_, i) => `journey_rows{id="${String(i).padStart(5, "0")}"} ${i} ${at}\n`).join("");
    const answer = await fetch(`${to.url}/api/v1/import/prometheus`, { method: "POST", body: lines });
    if (!answer.ok) return t.skip(`the import answered ${answer.status}`);
  }
  const page = await open(chromium);
  await page.goto(explore(to.is_mock ? "mock_many" : "journey_rows", "view=table&live=off&"));
  await page.getByText(/^10,000 series at/).waitFor();
  const table = page.getByRole("region", { name: "Series", exact: true });
  assert.ok((await table.getByRole("row").count()) < 80, "only what is on screen exists");
  await table.getByRole("button", { name: "Value" }).click();
  const times = await table.evaluate(async (scroller) => {
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    const longest = [];
    for (let top = 0; top < scroller.scrollHeight; top += scroller.scrollHeight / 40) {
      const start = performance.now();
      scroller.scrollTop = top;
      await frame();
      await frame();
      longest.push(performance.now() - start);
    }
    scroller.scrollTop = scroller.scrollHeight;
    return longest;
  });
  await table.getByRole("row").filter({ hasText: "00000" }).waitFor();
  const median = times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
  assert.ok(median < 100, `a step of scrolling took ${median.toFixed(0)} ms`);
  await page.getByRole("searchbox", { name: "Filter series" }).fill("04242");
  await page.getByText(/^1 of 10,000 series/).waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});
