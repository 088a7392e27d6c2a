/** Journeys on the pages of Health, by role and visible text. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { goTo, open, stage, still } from "./browser.js";

const { to, chromium } = await stage();

const fact = (page, name) => page.getByRole("region", { name, exact: true });

/** A client that called, and failed once: on the mock there always is one. */
async function somebody() {
  if (to.is_mock) return "legacy-importer";
  const headers = { "X-Client-Id": "journey" };
  for (const query of ["up", "up", "sum("]) await fetch(`${to.url}/api/v1/query?query=${encodeURIComponent(query)}`, { headers });
  return "journey";
}

test("by keyboard from Overview to Health, and on through its tabs", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/?range=15m`);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await goTo(page, "h");
  await page.waitForURL(/\/ui\/health\?range=15m/);
  const tabs = page.getByRole("navigation", { name: "Health" });
  await tabs.getByRole("link", { name: "Components" }).waitFor();
  assert.deepEqual(await tabs.getByRole("link").allInnerTexts(), ["Components", "Checks", "Cluster", "Clients", "Performance", "Errors", "Heartbeats", "Diagnostics"]);
  assert.equal(await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Health" }).getAttribute("aria-current"), "page");
  for (const name of ["Clients", "Performance", "Errors"]) {
    await tabs.getByRole("link", { name }).click();
    await page.getByRole("heading", { name, level: 1 }).waitFor();
  }
  await page.goBack();
  await page.getByRole("heading", { name: "Performance", level: 1 }).waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("other names of the pages lead to their tab, with the time range", async () => {
  const page = await open(chromium);
  for (const [name, path] of Object.entries({ clients: "health/clients", performance: "health/performance", errors: "health/errors", diagnostics: "health/diagnostics", components: "health", overview: "", resources: "" })) {
    await page.goto(`${to.url}/ui/${name}?range=15m`);
    await page.waitForURL(`${to.url}/ui/${path}?range=15m`);
  }
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("clients: found by name, sorted, and the link shows the same", async () => {
  const id = await somebody();
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/health/clients`);
  const table = page.getByRole("region", { name: "Clients", exact: true });
  await table.getByRole("link", { name: id }).waitFor();
  assert.equal(await table.getByRole("columnheader", { name: /^Cost/ }).getAttribute("aria-sort"), "descending");
  await table.getByRole("button", { name: "Client", exact: true }).click();
  await page.waitForURL(/sort=client/);
  await page.getByRole("searchbox", { name: "Name contains" }).fill(id.slice(0, 6).toUpperCase());
  await page.waitForURL(/find=/);
  await table.getByRole("row").nth(2).waitFor({ state: "detached" });
  const other = await open(chromium);
  await other.goto(page.url());
  await other.getByRole("region", { name: "Clients", exact: true }).getByRole("link", { name: id }).waitFor();
  assert.equal(await other.getByRole("searchbox", { name: "Name contains" }).inputValue(), id.slice(0, 6).toUpperCase());
  await page.getByRole("searchbox", { name: "Name contains" }).fill("nobody is called that");
  await page.getByText("No client is like that.").waitFor();
  await page.getByRole("button", { name: "Show all" }).click();
  await table.getByRole("link", { name: id }).waitFor();
  for (const one of [page, other]) {
    assert.deepEqual(one.problems, []);
    await one.context().close();
  }
});

test("one client: its queue, calls and errors, its score part by part, and the way back", async () => {
  const id = await somebody();
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/health/clients?find=${id.slice(0, 4)}`);
  await page.getByRole("link", { name: id }).first().click();
  await page.waitForURL(new RegExp(`client=${id}`));
  await page.getByRole("heading", { name: id, level: 2 }).waitFor();
  for (const name of ["Health", "Calls", "Waiting", "Overflows", "Dropped", "Lag"]) await fact(page, name).filter({ hasText: /\d/ }).waitFor();
  const score = page.getByRole("region", { name: /^Why its score is/ });
  assert.equal(await score.getByRole("row").count(), 5);
  await score.getByRole("cell", { name: /of 40$/ }).waitFor();
  assert.ok((await page.getByRole("region", { name: "Its calls, by method" }).getByRole("row").count()) > 1);
  await page.getByRole("region", { name: "The last errors" }).getByRole("row").nth(1).waitFor();
  await page.getByText("All 43 fields").click();
  await page.getByText("queue-consumer-lag-ms", { exact: true }).waitFor();
  await page.getByRole("link", { name: "All clients" }).click();
  await page.getByRole("region", { name: "Clients", exact: true }).getByRole("link", { name: id }).waitFor();
  assert.match(page.url(), /find=/);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a client that is not there is said to be missing", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/health/clients?client=nobody`);
  await page.getByText(/there is no client "nobody"/).waitFor();
  await page.getByRole("link", { name: "All clients" }).click();
  await page.getByRole("heading", { name: "Clients", level: 2, exact: true }).waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("figures move while live, and stand still while paused", async () => {
  const page = await open(chromium);
  const asked = [];
  page.on("request", (request) => request.url().endsWith("/health/performance") && asked.push(request.url()));
  await page.goto(`${to.url}/ui/health/performance`);
  await page.getByRole("region", { name: "Methods" }).getByRole("row").nth(1).waitFor();
  while (asked.length < 3) await page.waitForTimeout(100);
  await page.getByRole("switch", { name: "Live updates" }).click();
  await page.waitForURL(/live=off/);
  // What was on its way is still told.
  const before_it = await still(page, () => asked.length);
  await page.waitForTimeout(3000);
  assert.equal(asked.length, before_it, "a paused page asked");
  await page.getByRole("switch", { name: "Live updates" }).click();
  while (asked.length === before_it) await page.waitForTimeout(100);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("performance: percentiles of each method, sorted by any of them", async () => {
  await somebody();
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/health/performance?sort=-p99`);
  const methods = page.getByRole("region", { name: "Methods" });
  // Which of them are in sight depends on how many there are.
  await methods.getByRole("cell", { name: /^GET \// }).first().waitFor();
  assert.equal(await methods.getByRole("columnheader", { name: /^p99/ }).getAttribute("aria-sort"), "descending");
  for (const name of ["p50", "p95", "p99", "Published", "Delivered", "Longest lag", "Threads at work"]) await fact(page, name).filter({ hasText: /\d|–/ }).waitFor();
  await page.getByRole("region", { name: "Load" }).getByText("Processors in use").waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("errors: of which kind, where, and whose", async () => {
  const id = await somebody();
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/health/errors`);
  const kinds = page.getByRole("region", { name: "Kinds of errors" });
  await kinds.getByRole("cell", { name: "client", exact: true }).waitFor();
  assert.equal(await kinds.getByRole("row").count(), 8);
  await page.getByRole("region", { name: "By status" }).getByRole("cell", { name: "HTTP 400" }).waitFor();
  const link = page.getByRole("region", { name: "The last errors" }).getByRole("link", { name: id }).first();
  await link.click();
  await page.waitForURL(new RegExp(`/ui/health/clients\\?client=${id}`));
  await page.getByRole("heading", { name: id, level: 2 }).waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("the server's score is explained on Components", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/health`);
  const score = page.getByRole("region", { name: "As its clients see it" });
  await score.getByText("Calls that succeeded").waitFor();
  assert.equal(await score.getByRole("row").count(), 7);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a lost connection shows the banner and keeps what was there; regained, it goes", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/health/errors`);
  const kinds = page.getByRole("region", { name: "Kinds of errors" });
  await kinds.waitFor();
  await page.context().setOffline(true);
  await page.getByText(/Connection lost/).waitFor();
  await page.getByRole("switch", { name: "Live updates" }).getByText("Lost").waitFor();
  assert.ok(await kinds.isVisible());
  await page.context().setOffline(false);
  await page.getByText(/Connected again/).waitFor();
  await page.getByText(/Connected again/).waitFor({ state: "detached" });
  assert.deepEqual(page.problems, []);
  await page.context().close();
});
