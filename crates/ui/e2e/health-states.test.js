/**
 * Journeys on the pages of Health against states that the mock alone can be in: ill components, an older server, thousands of
 * clients.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { mocked, open, stage } from "./browser.js";

const { to, chromium } = await stage(mocked);

const own = (path) => fetch(`${to.url}${path}`, { method: "POST" });
const fact = (page, name) => page.getByRole("region", { name, exact: true });

test("components change as the server tells it, without being asked", async () => {
  const page = await open(chromium);
  const asked = [];
  page.on("request", (request) => request.url().endsWith("/health/components") && asked.push(request.url()));
  const wal = page.getByRole("main").getByRole("listitem").filter({ has: page.getByRole("heading", { name: "wal", exact: true }) });
  await page.goto(`${to.url}/ui/health`);
  const first = await wal.innerText();
  while ((await wal.innerText()) === first) await page.waitForTimeout(100);
  const before_it = asked.length;
  await page.waitForTimeout(5000);
  assert.equal(asked.length, before_it, "what is told was asked for");
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("an older server: the tab says what is missing, and the rest of the page is there", async () => {
  for (const path of ["components", "checks", "cluster", "heartbeats"]) await own(`/mock/lacks?path=health/${path}`);
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/health`);
  await page.getByText(/This server does not tell how its components are/).waitFor();
  await page.getByRole("region", { name: "As its clients see it" }).waitFor();
  await page.goto(`${to.url}/ui/health/checks`);
  await page.getByText(/This server does not tell which checks it runs/).waitFor();
  await own("/mock/lacks");
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("components and checks: the ill ones first, with word and icon", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/health`);
  const first = page.getByRole("main").getByRole("listitem").first();
  await first.getByText("scrape targets").waitFor();
  await first.getByText("unhealthy", { exact: true }).waitFor();
  const strip = page.getByRole("img", { name: /^scrape targets: / });
  assert.match(await strip.getAttribute("aria-label"), /unhealthy from/);
  await page.goto(`${to.url}/ui/health/checks`);
  const row = page.getByRole("region", { name: "Checks" }).getByRole("row").nth(1);
  await row.getByText("failed").waitFor();
  await row.getByText("payment-0: connection refused").waitFor();
  await page.goto(`${to.url}/ui/health/cluster`);
  await fact(page, "Quorum").getByText("available").waitFor();
  await page.getByRole("cell", { name: "node-3" }).waitFor();
  await page.goto(`${to.url}/ui/health/heartbeats`);
  await page.getByRole("cell", { name: /late$/ }).first().waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("diagnostics: what slows it down, and what to do about it, found when asked", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/health/diagnostics`);
  await page.getByRole("list", { name: "Bottlenecks" }).getByText("disk io").waitFor();
  const looked = page.waitForRequest((request) => request.method() === "POST" && request.url().includes("diagnostics/analysis"));
  await page.getByRole("button", { name: "Look for bottlenecks" }).click();
  await looked;
  await page.getByRole("button", { name: "Look for bottlenecks" }).waitFor();
  await page.getByRole("region", { name: "How well it does" }).waitFor();
  await page.getByRole("region", { name: "Incidents" }).getByRole("link", { name: "JSON of incident 2" }).waitFor();
  await fact(page, "Budget in use").getByText(/\d\s*MiB/).first().waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("ten thousand clients scroll smoothly, and sorting them is quick", async () => {
  await own("/mock/clients?count=10000");
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/health/clients?sort=client`);
  const table = page.getByRole("region", { name: "Clients", exact: true });
  await table.getByRole("link", { name: "client-00000" }).waitFor();
  assert.ok((await table.getByRole("row").count()) < 80, "rows that nobody sees exist");
  const slowest = await table.evaluate(async (scroller) => {
    let worst = 0;
    for (let step = 0; step < 40; step += 1) {
      const began = performance.now();
      scroller.scrollTop += 7_000;
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      worst = Math.max(worst, performance.now() - began);
    }
    return worst;
  });
  console.log(`slowest of 40 steps through 10,000 clients: ${slowest.toFixed(0)} ms for two frames`);
  assert.ok((await table.getByRole("row").count()) < 80);
  await table.evaluate((scroller) => (scroller.scrollTop = scroller.scrollHeight));
  await table.getByRole("link", { name: "wall-display" }).or(table.getByRole("link", { name: "web-2" })).first().waitFor();
  await table.getByRole("button", { name: /^Health/ }).click();
  await page.waitForURL(/sort=-health/);
  await own("/mock/clients?count=0");
  assert.deepEqual(page.problems, []);
  await page.context().close();
});
