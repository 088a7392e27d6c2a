/** Pictures of every page in both themes, wide and narrow, into `screenshots/`: for a person to look at. `npm run screenshots clients` takes only those. */
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { browser, open, server } from "./browser.js";

const FOLDER = fileURLToPath(new URL("../screenshots/", import.meta.url));
const WIDTHS = { wide: { width: 1440, height: 1000 }, narrow: { width: 360, height: 740 } };
const explore = (params) => `/ui/explore?${new URLSearchParams(params)}`;
const INGEST = "sum by (source) (rate(barograph_ingest_samples_total[30s]))";
const DOCUMENT = { query: { metrics: ["http.requests.total"], filter: { dimensions: { code: ["200", "500"] } }, groupBy: ["code"], aggregations: [{ type: "RATE", window: "10s" }], sort: { field: "http.requests.total", order: "DESC" }, limit: 5 } };
const PAGES = {
  overview: "/ui/",
  explore: explore({ q: INGEST }),
  browser: "/ui/explore",
  formula: explore({ q: "sum(rate(http_requests_total[1m]))", "q.B": "sum by (code) (rate(http_requests_total[1m]))", "formula.C": "B / A", hide: "A,B", stats: "on" }),
  compare: explore({ q: INGEST, compare: "previous", range: "15m" }),
  builder: explore({ "json.A": JSON.stringify(DOCUMENT) }),
  explain: explore({ q: INGEST, explain: "A" }),
  heatmap: explore({ q: "http_request_duration_seconds_bucket", "q.B": "checkout_duration_seconds", view: "heatmap", range: "30m" }),
  table: `/ui/explore?view=table&q=${encodeURIComponent('{__name__=~"system_.+"}')}`,
  inbox: "/ui/alerts",
  incident: "/ui/alerts/incidents/inc-0001",
  rules: "/ui/alerts/rules",
  rule: "/ui/alerts/rules/web%2FCheckoutSlow",
  "new-rule": "/ui/alerts/rules/new",
  silences: "/ui/alerts/silences",
  calendar: "/ui/alerts/silences?calendar=month",
  oncall: "/ui/alerts/oncall",
  receivers: "/ui/alerts/receivers",
  components: "/ui/health",
  checks: "/ui/health/checks",
  cluster: "/ui/health/cluster",
  clients: "/ui/health/clients",
  client: "/ui/health/clients?client=wall-display",
  performance: "/ui/health/performance",
  errors: "/ui/health/errors",
  heartbeats: "/ui/health/heartbeats",
  diagnostics: "/ui/health/diagnostics",
  storage: "/ui/admin/storage",
  cardinality: "/ui/admin/cardinality",
  targets: "/ui/admin/targets",
  mistake: `/ui/explore?q=${encodeURIComponent("sum(rate(up[5m])")}`,
};

const to = await server();
const chromium = await browser();
await mkdir(FOLDER, { recursive: true });
for (const [width, viewport] of Object.entries(WIDTHS)) {
  for (const theme of ["light", "dark"]) {
    const page = await open(chromium, { viewport, colorScheme: theme, deviceScaleFactor: width === "wide" ? 1 : 2, hasTouch: width === "narrow" });
    for (const [name, path] of Object.entries(PAGES)) {
      if (process.argv.length > 2 && !process.argv.slice(2).includes(name)) continue;
      await page.goto(to.url + path);
      await page.waitForTimeout(2500);
      await page.screenshot({ path: `${FOLDER}${name}-${theme}-${width}.png`, fullPage: true });
    }
    for (const problem of page.problems) console.log(`${theme} ${width}: ${problem}`);
    await page.context().close();
  }
}
await chromium.close();
await to.close();
console.log(FOLDER);
