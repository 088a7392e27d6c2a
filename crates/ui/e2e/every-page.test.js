/** What holds on every page: it fits a phone, and people who cannot see or point can use it. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { open, settled, stage } from "./browser.js";

const AXE = createRequire(import.meta.url).resolve("axe-core");
const PAGES = {
  Overview: "/ui/",
  Explore: "/ui/explore",
  "a chart": "/ui/explore?q=system_load_1m",
  "a table": `/ui/explore?view=table&q=${encodeURIComponent('{__name__=~"system_.+"}')}`,
  "a formula": `/ui/explore?q=system_memory_used&q.B=system_memory_total&formula.C=A%2FB&stats=on&compare=previous`,
  "the builder": `/ui/explore?json.A=${encodeURIComponent('{"query":{"metrics":["system.load.1m"],"filter":{"dimensions":{"job":["a","b"]}},"aggregations":[{"type":"AVG","window":"10s"}],"calculations":[{"name":"x","expression":"system.load.1m * 2"}],"sort":{"field":"x"}}}')}`,
  "a plan": "/ui/explore?q=sum(rate(barograph_queries_total%5B1m%5D))&explain=A",
  "a heat map": "/ui/explore?q=barograph_query_duration_seconds_bucket&view=heatmap",
  Inbox: "/ui/alerts",
  "an incident": "/ui/alerts/incidents/inc-0001",
  Rules: "/ui/alerts/rules",
  "a rule": "/ui/alerts/rules/web%2FCheckoutSlow",
  "a new rule": "/ui/alerts/rules/new",
  Silences: "/ui/alerts/silences?expired=yes",
  "a month of silences": "/ui/alerts/silences?calendar=month",
  "On call": "/ui/alerts/oncall",
  Receivers: "/ui/alerts/receivers",
  Components: "/ui/health",
  Checks: "/ui/health/checks",
  Cluster: "/ui/health/cluster",
  Clients: "/ui/health/clients",
  "a client": "/ui/health/clients?client=wall-display",
  Performance: "/ui/health/performance",
  Errors: "/ui/health/errors",
  Heartbeats: "/ui/health/heartbeats",
  Diagnostics: "/ui/health/diagnostics",
  Storage: "/ui/admin/storage",
  Cardinality: "/ui/admin/cardinality",
  Targets: "/ui/admin/targets",
  Queries: "/ui/admin/queries",
  Admission: "/ui/admin/admission",
  Access: "/ui/admin/access",
  Audit: "/ui/admin/audit",
  Tenants: "/ui/admin/tenants",
  "a mistake": "/ui/explore?q=sum(",
};

const { to, chromium } = await stage();

for (const [name, path] of Object.entries(PAGES)) {
  test(`${name}: 360 px wide, nothing scrolls sideways`, async () => {
    const page = await open(chromium, { viewport: { width: 360, height: 740 }, hasTouch: true });
    await page.goto(to.url + path);
    await settled(page);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Explore" }).click();
    await page.getByRole("heading", { name: "Explore" }).waitFor();
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });

  for (const colorScheme of ["light", "dark"]) {
    test(`${name}, ${colorScheme}: no serious finding of axe`, async () => {
      const page = await open(chromium, { colorScheme });
      await page.goto(to.url + path);
      await settled(page);
      // Through the debugger, so that the page's own content policy stays as strict as it is.
      await page.evaluate((await import("node:fs")).readFileSync(AXE, "utf8"));
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      assert.deepEqual(
        serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join(" | ")}`),
        [],
      );
      await page.context().close();
    });
  }
}
