/** Journeys on Overview, by role and visible text. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { goTo, LONG, open, pace, settled, stage, still } from "./browser.js";

const { to, chromium } = await stage();

/** The number a tile shows. */
const tile = (page, name) => page.locator("section.tile").and(page.getByRole("region", { name, exact: true })).locator(".value");

/** What all charts on screen say of their newest values: as good as sure to differ from one second to the next. */
const readings = (page) => page.locator("section.panel [role=img]").evaluateAll((charts) => charts.map((chart) => chart.getAttribute("aria-label")).join());

/** Waits until the charts say something else. */
async function moved(page, from) {
  const until = Date.now() + LONG;
  while ((await readings(page)) === from) {
    assert.ok(Date.now() < until, "the charts stand still");
    await page.waitForTimeout(100);
  }
}

test("first start: live charts without any configuration, and no error", async () => {
  const page = await open(chromium);
  await page.goto(to.url);
  assert.match(page.url(), /\/ui\/$/);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  for (const title of ["Load", "Samples stored, by source"]) await page.getByRole("img", { name: new RegExp(`^${title}\\.`) }).waitFor();
  await tile(page, "Series in memory").filter({ hasText: /\d/ }).waitFor();
  assert.equal(await page.getByRole("switch", { name: "Live updates" }).getAttribute("aria-checked"), "true");
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("the first visit fetches at most 70 KB of script and style", async () => {
  const page = await open(chromium);
  // What comes a moment later is no part of the first visit, however long a busy machine takes to draw.
  await page.addInitScript(() => {
    const later = window.setTimeout;
    window.setTimeout = (work, ms, ...rest) => (ms >= 2000 ? 0 : later(work, ms, ...rest));
  });
  const client = await page.context().newCDPSession(page);
  await client.send("Network.enable");
  const kinds = new Map();
  let bytes = 0;
  client.on("Network.responseReceived", ({ requestId, type }) => kinds.set(requestId, type));
  client.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (["Script", "Stylesheet"].includes(kinds.get(requestId))) bytes += encodedDataLength;
  });
  // What no first look needs comes two seconds later: here not at all, however long the first look takes.
  await page.addInitScript(() => {
    const later = window.setTimeout.bind(window);
    window.setTimeout = (done, ms, ...more) => (ms >= 2_000 ? 0 : later(done, ms, ...more));
  });
  await page.goto(`${to.url}/ui/`);
  await page.locator("canvas").first().waitFor();
  await page.waitForTimeout(500);
  console.log(`script and style of the first visit: ${(bytes / 1000).toFixed(1)} KB`);
  assert.ok(bytes > 10_000 && bytes <= 70_000, `${bytes} bytes`);
  await page.context().close();
});

test("the first chart is drawn within 300 ms of the page's answer", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/`);
  await page.locator("canvas").first().waitFor();
  // Other work on the machine only ever adds time, so the best of a few visits is the page's own; it is as long as the machine
  // is slow.
  const times = [];
  for (let visit = 0; visit < 10 && !times.some((ms) => ms < 300); visit += 1) {
    await page.addInitScript(() => {
      new MutationObserver((_, observer) => {
        if (document.querySelector("canvas") === null) return;
        window.drawn_at ??= performance.now();
        observer.disconnect();
      }).observe(document, { childList: true, subtree: true });
    });
    await page.goto(`${to.url}/ui/?visit=${visit}`);
    await page.waitForFunction(() => window.drawn_at !== undefined);
    const took = await page.evaluate(() => window.drawn_at - performance.getEntriesByType("navigation")[0].responseStart);
    times.push(took / (await pace(page)));
  }
  const best = Math.min(...times);
  console.log(`first chart after ${times.map((ms) => ms.toFixed(0)).join(", ")} ms`);
  assert.ok(best < 300, `the first chart took ${best.toFixed(0)} ms`);
  await page.context().close();
});

test("data moves without a reload, stops while paused, and goes on", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/`);
  await page.getByRole("img", { name: /^CPU\./ }).first().waitFor();
  await page.getByRole("img", { name: /^Load\./ }).waitFor();
  await page.waitForTimeout(1000);
  await moved(page, await readings(page));
  await page.keyboard.press("l");
  await page.getByText("Paused").waitFor();
  assert.match(page.url(), /live=off/);
  // What was on its way is still drawn.
  const paused = await still(page, () => readings(page));
  await page.waitForTimeout(2500);
  assert.equal(await readings(page), paused);
  await page.getByRole("switch", { name: "Live updates" }).click();
  await page.getByText("Live", { exact: true }).waitFor();
  await moved(page, paused);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a drag zooms all charts, the link shows the same to another, a double click goes back", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/?range=10m`);
  const chart = page.getByRole("img", { name: /^CPU\./ }).first();
  await chart.waitFor();
  // What comes above it moves it.
  await settled(page);
  const box = await chart.boundingBox();
  await page.mouse.move(box.x + box.width * 0.4, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.8, box.y + 70, { steps: 8 });
  await page.mouse.up();
  await page.waitForURL(/from=.*to=/);
  await page.getByText("Paused").waitFor();
  const shown = await page.getByRole("button", { name: /^Time range/ }).getAttribute("aria-label");

  const other = await open(chromium);
  await other.goto(page.url());
  await other.locator("h1").waitFor();
  assert.equal(await other.getByRole("button", { name: /^Time range/ }).getAttribute("aria-label"), shown);
  await other.context().close();

  // A server that has just started has nothing in this span: an empty panel goes back as a drawn one does.
  await page.locator(".panel .body:not(.dimmed) :is(.u-over, .nothing)").first().dblclick();
  await page.waitForURL(/range=10m/);
  await page.goBack().catch(() => undefined);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("the crosshair is one, and the tooltip tells values with units", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/?live=off`);
  const chart = page.getByRole("img", { name: /^Load\./ });
  await chart.waitFor();
  await settled(page);
  const box = await chart.boundingBox();
  await page.mouse.move(box.x + box.width - 40, box.y + 80);
  await page.locator(".tooltip").waitFor();
  assert.equal(await page.locator(".tooltip").count(), 1);
  const values = (await page.locator(".tooltip .value").allInnerTexts()).map((text) => Number.parseFloat(text));
  assert.deepEqual(values, [...values].sort((a, b) => b - a));
  // The other charts show the crosshair too.
  await page.waitForFunction(() => document.querySelectorAll(".u-cursor-x:not(.u-off)").length > 1);
  await page.context().close();
});

test("a legend's click isolates, Ctrl adds", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/?live=off`);
  const panel = page.getByRole("region", { name: "Load", exact: true });
  const pressed = async () => panel.getByRole("list", { name: "Series" }).getByRole("button").evaluateAll((all) => all.map((one) => one.getAttribute("aria-pressed")));
  await panel.getByRole("button", { name: /^5 min/ }).click();
  assert.deepEqual(await pressed(), ["false", "true", "false"]);
  await panel.getByRole("button", { name: /^15 min/ }).click({ modifiers: ["Control"] });
  assert.deepEqual(await pressed(), ["false", "true", "true"]);
  await page.context().close();
});

test("a restart of the server: a banner, then data again with the gap filled, and the banner goes", async (t) => {
  if (!to.is_mock && process.env.BAROGRAPH_RESTART_CMD === undefined) return t.skip("no BAROGRAPH_RESTART_CMD");
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/?range=10m`);
  await page.getByRole("img", { name: /^CPU\./ }).first().waitFor();
  const banner = page.getByText(/Connection lost/);
  const restarted = to.restart();
  await banner.waitFor();
  await restarted;
  await banner.waitFor({ state: "detached" });
  await page.getByText(/Connected again/).waitFor({ state: "detached" });
  await moved(page, await readings(page));
  // Every moment of the last half minute has a value: the arrow keys read them out one by one.
  await page.getByRole("img", { name: /^CPU\./ }).first().focus();
  const empty = [];
  for (let step = 0; step < 20; step += 1) {
    await page.keyboard.press("ArrowLeft");
    const text = await page.locator(".tooltip").innerText();
    if (/no value/.test(text)) empty.push(text);
  }
  assert.deepEqual(empty, []);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("night and day: by the system, by choice, and kept", async () => {
  const page = await open(chromium, { colorScheme: "dark" });
  await page.goto(`${to.url}/ui/`);
  const light = () => page.evaluate(() => Number(getComputedStyle(document.body).backgroundColor.match(/\d+/)[0]) > 127);
  assert.equal(await light(), false);
  await page.getByRole("button", { name: /^Theme/ }).click();
  await page.getByRole("button", { name: "Theme: day" }).waitFor();
  assert.equal(await light(), true);
  await page.reload();
  assert.equal(await light(), true);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("the first page says how the server is, and leads to what that is made of", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/`);
  const health = page.getByRole("region", { name: "Health now" });
  await health.getByText(/of 100/).waitFor();
  await health.getByRole("listitem").first().waitFor();
  await health.getByRole("link", { name: "Components" }).click();
  await page.getByRole("heading", { name: "Components", level: 1 }).waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("by keyboard only: help, ranges, the other page, and back", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/`);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.keyboard.press("t");
  await page.getByRole("textbox", { name: "Range" }).waitFor();
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Shift+Tab");
  await page.getByRole("textbox", { name: "Range" }).waitFor({ state: "detached" });
  await page.keyboard.press("t");
  await page.getByRole("textbox", { name: "Range" }).fill("2 hours");
  await page.keyboard.press("Enter");
  await page.waitForURL(/range=2h/);
  await page.getByRole("button", { name: /Last 2 hours/ }).waitFor();
  await page.keyboard.press("[");
  await page.waitForURL(/from=/);
  await goTo(page, "e");
  await page.getByRole("heading", { name: "Explore" }).waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.keyboard.press("/");
  await page.getByRole("combobox", { name: "Search" }).fill("head_series");
  await page.getByRole("option", { name: /barograph_head_series/ }).waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL(/explore\?.*q=barograph_head_series/);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a part that did not come is asked for again, with its styles, and its absence is no error", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/?live=off`);
  await page.locator("canvas").first().waitFor();
  const refused = new Set();
  const away = (route) => (refused.add(new URL(route.request().url()).pathname), route.abort());
  await page.route(/\/ui\/(assets|theme\.js)/, away);
  await page.keyboard.press("?");
  await goTo(page, "m");
  await page.getByText("Loading Storage").waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll("link[rel=stylesheet]")].some((link) => link.sheet === null));
  await page.unroute(/\/ui\/(assets|theme\.js)/, away);
  await page.getByRole("region", { name: "Tiers" }).waitFor();
  // What was asked for meanwhile comes as well.
  await page.getByRole("dialog").waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll("link[rel=stylesheet]")].every((link) => link.sheet !== null));
  assert.ok([...refused].some((path) => path.endsWith(".css")) && [...refused].some((path) => path.endsWith(".js")), [...refused].join());
  assert.deepEqual(page.problems, []);
  await page.context().close();
});
