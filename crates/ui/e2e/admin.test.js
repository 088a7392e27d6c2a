/** Journeys on the Admin pages, by role and visible text. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { goTo, open, stage } from "./browser.js";

const { to, chromium } = await stage();

test("by keyboard from Overview to what is kept, by tier", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/?range=15m`);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await goTo(page, "m");
  await page.waitForURL(/\/ui\/admin\/storage\?range=15m/);
  const tiers = page.getByRole("region", { name: "Tiers" });
  for (const tier of ["raw: every sample", "1m windows", "5m windows", "1h windows"]) await tiers.getByRole("cell", { name: tier }).waitFor();
  const link = page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Admin" });
  assert.equal(await link.getAttribute("aria-current"), "page");
  await page.getByRole("region", { name: "On disk", exact: true }).filter({ hasText: /B/ }).waitFor();
  await page.getByRole("region", { name: "Disk full" }).filter({ hasText: /Unknown|Never|\d{4}-\d\d-\d\d/ }).waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("tabs change the address, and the way back works", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/admin/storage`);
  const tabs = page.getByRole("navigation", { name: "Admin" });
  await tabs.getByRole("link", { name: "Cardinality" }).click();
  await page.waitForURL(/\/ui\/admin\/cardinality/);
  await page.getByRole("heading", { name: "Cardinality", level: 1 }).waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "Storage", level: 1 }).waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a backup is made and listed, or the page says what is missing", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/admin/storage`);
  const button = page.getByRole("button", { name: "Back up now" });
  const refused = page.getByText("start the server with --backup-dir");
  const backups = page.getByRole("region", { name: "Backups" }).or(page.getByText("There is no backup yet."));
  await refused.or(backups).first().waitFor();
  if (await refused.isVisible()) {
    assert.ok(await button.isDisabled());
  } else {
    const rows = page.getByRole("region", { name: "Backups" }).getByRole("row");
    const before_it = Math.max(1, await rows.count());
    await button.click();
    await page.getByText(/^Backup \d+: .+ were new$/).waitFor();
    await rows.nth(before_it).waitFor();
  }
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a metric with many series leads to Explore", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/admin/cardinality`);
  const metric = page.getByRole("region", { name: "Metrics with most series" }).getByRole("link").first();
  const name = await metric.innerText();
  await metric.click();
  await page.waitForURL(new RegExp(`/ui/explore\\?.*q=${name}`));
  await page.getByRole("textbox", { name: "PromQL expression" }).waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("tables show their numbers at any width", async () => {
  for (const [width, table] of [[1280, "Tiers"], [1280, "Metrics that grow"], [360, "Metrics with most series"]]) {
    const page = await open(chromium, { viewport: { width, height: 800 } });
    await page.goto(`${to.url}/ui/admin/${table === "Tiers" ? "storage" : "cardinality"}`);
    const region = page.getByRole("region", { name: table });
    await region.getByRole("row").nth(1).waitFor();
    const hidden = await region.evaluate((scroller, narrow) => {
      const cells = [...scroller.querySelectorAll("tbody tr:first-child td")];
      const last = narrow ? cells[1] : cells[cells.length - 1];
      return last.getBoundingClientRect().right - scroller.getBoundingClientRect().right;
    }, width < 640);
    assert.ok(hidden <= 1, `${table} at ${width}: ${hidden} px are cut off`);
    assert.deepEqual(page.problems, []);
    await page.context().close();
  }
});

/** The number of a query that runs for longer than anyone waits, and counts as slow. */
async function runsLong() {
  const now = Math.floor(Date.now() / 1000);
  const body = new URLSearchParams({ query: "max_over_time(deriv(vector(time())[1h:10ms])[6h:1s])", start: now - 600, end: now, step: 300 });
  const answer = fetch(`${to.url}/api/v1/query_range`, { method: "POST", body }).then((reply) => reply.text());
  for (;;) {
    const { running } = await (await fetch(`${to.url}/api/barograph/v1/queries`)).json();
    const found = running.find(({ expression, since_ms }) => expression.includes("deriv") && since_ms > 1100);
    if (found) return { id: found.id, answer };
    await new Promise((done) => setTimeout(done, 200));
  }
}

test("a query that runs can be stopped, and a slow one shows its plan", async () => {
  const { id, answer } = to.is_mock ? { id: 812 } : await runsLong();
  const [slow, part] = to.is_mock ? [790, "http_requests_total[1d]"] : [id, "vector(time())[1h:10ms]"];
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/admin/queries`);
  const running = page.getByRole("region", { name: "Running and waiting" });
  await running.getByRole("button", { name: `Stop query ${id}` }).click();
  await page.getByText(`Query ${id} is being stopped`).waitFor();
  await running.getByRole("button", { name: `Stop query ${id}` }).waitFor({ state: "detached" });
  if (to.is_mock) await running.getByRole("button", { name: "Stop query 815" }).waitFor();
  else assert.match(await answer, /stopped/);
  await page.getByRole("button", { name: `Plan of query ${slow}` }).click();
  const plan = page.getByRole("region", { name: `Plan of query ${slow}` });
  await plan.getByText(part, { exact: true }).waitFor();
  const link = page.getByRole("region", { name: "Slow" }).getByRole("link").first();
  await link.click();
  await page.waitForURL(/\/ui\/explore\?.*from=.*to=/);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("the queries of a server are told", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/admin/queries`);
  await page.getByRole("region", { name: "Queries a second" }).waitFor();
  await page.getByRole("heading", { name: "Slow" }).waitFor();
  await page.getByText("Asking the server").first().waitFor({ state: "detached" });
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("the classes of requests are told, and who is at work", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/admin/queries`);
  await page.getByRole("navigation", { name: "Admin" }).getByRole("link", { name: "Admission" }).click();
  await page.waitForURL(/\/ui\/admin\/admission/);
  const classes = page.getByRole("region", { name: "Classes" });
  for (const name of ["health", "alerts", "ingest", "query"]) await classes.getByRole("cell", { name, exact: true }).waitFor();
  const document = await (await fetch(`${to.url}/api/barograph/v1/admission`)).json();
  const limits = document.classes.map(({ limit }) => (limit === null ? "none" : String(limit)));
  if (to.is_mock) assert.deepEqual(await classes.getByRole("row").locator("td:nth-child(3)").allInnerTexts(), limits);
  await page.getByRole("region", { name: "At work, by class" }).waitFor();
  await page.getByText("Nobody was turned away in this range.").or(page.getByRole("img", { name: /^Turned away/ })).waitFor();
  // What is asked counts as it goes on.
  const let_in = () => classes.locator("tbody tr").nth(3).locator("td").nth(4).locator("span").getAttribute("title");
  const before_it = await let_in();
  if (!to.is_mock) {
    for (let i = 0; i < 3; i += 1) await fetch(`${to.url}/api/v1/query?query=1`);
    while ((await let_in()) === before_it) await page.waitForTimeout(200);
  }
  assert.deepEqual(page.problems, []);
  await page.context().close();
});
