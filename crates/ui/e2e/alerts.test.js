/** Journeys on the pages of Alerts, by role and visible text. What they need to be there is made up: they run against the mock. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { goTo, mocked, open, stage } from "./browser.js";

const { to, chromium } = await stage(mocked);
const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true };

const arrange = (query = "") => fetch(`${to.url}/mock/alerts${query}`, { method: "POST" });
beforeEach(() => arrange());

async function done(page) {
  assert.deepEqual(page.problems, []);
  await page.context().close();
}

const list = (page) => page.getByRole("list", { name: "Incidents and alerts" });

test("by keyboard from Overview to the inbox, and on through its tabs", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/?range=15m`);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await goTo(page, "a");
  await page.waitForURL(/\/ui\/alerts\?range=15m/);
  const tabs = page.getByRole("navigation", { name: "Alerts" });
  await tabs.getByRole("link", { name: "Inbox" }).waitFor();
  assert.deepEqual(await tabs.getByRole("link").allInnerTexts(), ["Inbox", "Rules", "Silences", "On call", "Receivers"]);
  for (const name of ["Rules", "Silences", "On call", "Receivers"]) {
    await tabs.getByRole("link", { name }).click();
    await page.getByRole("heading", { name, level: 1 }).waitFor();
  }
  assert.equal(await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Alerts" }).getAttribute("aria-current"), "page");
  await done(page);
});

test("other names of the pages lead to their tab", async () => {
  const page = await open(chromium);
  for (const [name, path] of Object.entries({ incidents: "alerts", "alerts/incidents": "alerts", silences: "alerts/silences", oncall: "alerts/oncall", rules: "alerts/rules", receivers: "alerts/receivers" })) {
    await page.goto(`${to.url}/ui/${name}`);
    await page.waitForURL(`${to.url}/ui/${path}`);
  }
  await done(page);
});

test("what fires is on every page, and an acknowledgment is seen there", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/health`);
  await page.getByRole("link", { name: "Firing: 1 critical, 1 warning, 1 info, 1 acknowledged" }).click();
  await page.waitForURL(/\/ui\/alerts$/);
  await page.getByRole("button", { name: "Acknowledge CheckoutSlow in eu-west" }).click();
  await page.getByText("Acknowledged", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Firing: 1 warning, 1 info, 2 acknowledged" }).waitFor();
  await done(page);
});

test("the inbox: filtered, and the link shows the same", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts`);
  await page.getByText("4 incidents, 6 alerts").waitFor();
  await list(page).getByText("escalates in").first().waitFor();
  await page.getByRole("combobox", { name: "Severity" }).selectOption("critical");
  await page.waitForURL(/severity=critical/);
  await page.getByText("2 incidents").waitFor();
  await page.getByRole("searchbox", { name: "Matchers" }).fill('job=~"pay.*"');
  await page.getByText("1 incident, 1 alert").waitFor();
  const other = await open(chromium);
  await other.goto(page.url());
  await other.getByText("1 incident, 1 alert").waitFor();
  await list(other).getByRole("link", { name: "TargetDown job=payment" }).waitFor();
  await page.getByRole("searchbox", { name: "Matchers" }).fill("nonsense");
  await page.getByText("Matchers are written").waitFor();
  await page.getByRole("searchbox", { name: "Matchers" }).fill("job=nobody");
  await page.getByText("Nothing is like that.").waitFor();
  await page.getByRole("button", { name: "Show all" }).click();
  await page.getByText("4 incidents, 6 alerts").waitFor();
  await page.getByRole("combobox", { name: "State" }).selectOption("resolved");
  await list(page).getByRole("link", { name: "DiskFull on logs-1" }).waitFor();
  await done(other);
  await done(page);
});

test("many are chosen and acknowledged by a key", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts`);
  await page.getByRole("checkbox", { name: "Choose CheckoutSlow in eu-west" }).check();
  await page.getByRole("checkbox", { name: "Choose MemoryHigh on db-2" }).check();
  await page.getByText("2 chosen").waitFor();
  await page.keyboard.press("a");
  await page.getByText("2 acknowledged", { exact: true }).waitFor();
  await page.getByRole("combobox", { name: "State" }).selectOption("open");
  await list(page).getByRole("link", { name: "CertificateExpires soon" }).waitFor();
  assert.equal(await list(page).getByRole("link").count(), 1);
  await done(page);
});

test("a silence of what was chosen has its matchers, and a duration of one press", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts`);
  await page.getByText("4 incidents, 6 alerts").waitFor();
  for (const host of await page.getByRole("checkbox", { name: "Choose CheckoutSlow", exact: true }).all()) await host.check();
  await page.getByRole("toolbar", { name: "Chosen" }).getByRole("button", { name: "Silence" }).click();
  const dialog = page.getByRole("dialog", { name: "New silence" });
  assert.deepEqual(await dialog.getByPlaceholder("label").evaluateAll((fields) => fields.map(({ value }) => value)), ["alertname", "region", "severity", "env"]);
  await dialog.getByRole("button", { name: "4 h" }).click();
  await dialog.getByText(/^until .+, 4.h$/).waitFor();
  await dialog.getByLabel("Why").fill("known, being mended");
  await dialog.getByRole("button", { name: "Silence", exact: true }).click();
  await page.getByText("Silenced", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Silences" }).click();
  const row = page.getByRole("region", { name: "Silences" }).getByRole("row", { name: /known, being mended/ });
  await row.getByText('region="eu-west"').waitFor();
  await row.getByRole("button", { name: "End the silence" }).click();
  await page.getByText("The silence is over").waitFor();
  await row.waitFor({ state: "detached" });
  await done(page);
});

test("a silence of everything is refused before it is sent", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts/silences`);
  await page.getByRole("button", { name: "New silence" }).click();
  const dialog = page.getByRole("dialog", { name: "New silence" });
  await dialog.getByText("That would silence everything").waitFor();
  assert.ok(await dialog.getByRole("button", { name: "Silence", exact: true }).isDisabled());
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await done(page);
});

test("an incident: taken, commented, given back, escalated, assigned and resolved, and each is in its timeline", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts`);
  await list(page).getByRole("link", { name: "CheckoutSlow in eu-west" }).click();
  await page.waitForURL(/\/ui\/alerts\/incidents\/inc-0001/);
  await page.getByRole("heading", { name: "CheckoutSlow in eu-west", level: 2 }).waitFor();
  await page.getByText("Nobody has it").waitFor();
  await page.getByText("CheckoutSlow at web-1:8080 for too long and 2 others").waitFor();
  const timeline = page.getByRole("region", { name: "Timeline" });
  await timeline.getByText("web-team was told by webhook").waitFor();
  await page.keyboard.press("a");
  await page.getByText(/^ann took it/).waitFor();
  await page.getByRole("button", { name: "Comment" }).click();
  await page.getByRole("dialog", { name: "Comment" }).getByLabel("Message").fill("looks like the new version");
  await page.getByRole("button", { name: "Add the comment" }).click();
  await timeline.getByText("looks like the new version").waitFor();
  await page.getByRole("button", { name: "Un-acknowledge" }).click();
  await page.getByText("Nobody has it", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Escalate" }).click();
  await timeline.getByText("Escalated to level 2").waitFor();
  await timeline.getByText("Level 2: managers").waitFor();
  await page.getByRole("button", { name: "Assign" }).click();
  await page.getByRole("dialog", { name: "Assign" }).getByLabel("To").fill("bo");
  await page.getByRole("dialog").getByRole("button", { name: "Assign" }).click();
  await page.getByText("Assigned to bo, not acknowledged").waitFor();
  await page.getByRole("button", { name: "Resolve" }).click();
  await page.getByRole("button", { name: "Resolve the incident" }).click();
  await page.getByText(/^It ended/).waitFor();
  assert.equal(await page.getByRole("button", { name: "Escalate" }).count(), 0);
  assert.equal(await page.getByRole("region", { name: "Its alerts" }).getByRole("row").count(), 4);
  await page.getByRole("region", { name: "Notices" }).getByText("connection refused").waitFor();
  await page.getByRole("region", { name: "CheckoutSlow", exact: true }).getByText("threshold >").waitFor();
  await page.getByRole("link", { name: "Rule CheckoutSlow" }).click();
  await page.getByRole("heading", { name: "CheckoutSlow", level: 2 }).waitFor();
  await done(page);
});

test("an incident that is not there is said to be missing", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts/incidents/nothing`);
  await page.getByText('there is no incident "nothing"').waitFor();
  await page.getByRole("link", { name: "Inbox" }).last().click();
  await page.getByText("4 incidents, 6 alerts").waitFor();
  await done(page);
});

test("woken up: on a phone Acknowledge is in sight at once, and large", async () => {
  const page = await open(chromium, { ...PHONE, colorScheme: "dark" });
  await page.goto(`${to.url}/ui/alerts/incidents/inc-0001`);
  const button = page.getByRole("button", { name: "Acknowledge", exact: true });
  await button.waitFor();
  const box = await button.boundingBox();
  assert.ok(box.y + box.height < 400 && box.height >= 48 && box.width > 300, JSON.stringify(box));
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
  await button.tap();
  await page.getByText(/^ann took it/).waitFor();
  await done(page);
});

test("rules: those that cannot be evaluated are first and say why; a rule is proved, takes the advice and is saved", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts/rules`);
  const table = page.getByRole("region", { name: "Rules", exact: true });
  await table.getByText("1:22: unclosed left parenthesis").waitFor();
  assert.match(await table.getByRole("row").nth(1).innerText(), /IndexLag/);
  await page.getByRole("searchbox", { name: "Name or expression contains" }).fill("errors");
  await table.getByRole("row").nth(2).waitFor({ state: "detached" });
  await table.getByRole("link", { name: "ErrorsHigh" }).click();
  await page.getByText("It fires and stops again and again").waitFor();
  await page.getByRole("button", { name: "Prove it" }).click();
  const proof = page.getByRole("region", { name: "Prove it" });
  await proof.getByRole("region", { name: "Would have fired", exact: true }).getByText("4").waitFor();
  await proof.getByRole("region", { name: "Would have woken" }).getByText("web-team, ann").waitFor();
  await proof.getByRole("region", { name: "When it would have fired" }).first().getByRole("img").waitFor();
  await proof.getByRole("button", { name: "Use it" }).click();
  assert.equal(await page.getByLabel("For", { exact: true }).inputValue(), "20m");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("region", { name: "Versions" }).getByRole("row").nth(2).waitFor();
  await page.getByRole("button", { name: "Switch off" }).click();
  await page.getByRole("button", { name: "Switch on" }).waitFor();
  await done(page);
});

test("a new rule: as a form, as YAML, and a mistake is told where it is", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts/rules`);
  await page.getByRole("link", { name: "New rule" }).click();
  await page.getByLabel("Name", { exact: true }).fill("LoadHigh");
  await page.getByRole("textbox", { name: "Expression" }).click();
  await page.keyboard.type("avg(system_load_1m) > 2");
  await page.getByRole("button", { name: "YAML" }).click();
  const yaml = page.getByRole("textbox", { name: "The rule as YAML" });
  assert.match(await yaml.inputValue(), /^alert: LoadHigh\nexpr: avg\(system_load_1m\) > 2\nfor: 5m\n/);
  await yaml.fill("alert: LoadHigh\nexpr: avg(system_load_1m > 2\n");
  await page.getByRole("button", { name: "Make the rule" }).click();
  await page.getByRole("alert").getByText("line 2, expr: 1:5: unclosed left parenthesis").waitFor();
  await page.getByRole("button", { name: "Form", exact: true }).click();
  await page.getByRole("button", { name: "Make the rule" }).click();
  await page.waitForURL(/\/ui\/alerts\/rules\/own%2FLoadHigh/);
  await page.getByRole("heading", { name: "LoadHigh", level: 2 }).waitFor();
  await page.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("button", { name: "Really remove it" }).click();
  await page.waitForURL(/\/ui\/alerts\/rules$/);
  await done(page);
});

test("maintenance is planned, and shows in the calendar of the month", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts/silences`);
  await page.getByRole("button", { name: "New maintenance" }).click();
  const dialog = page.getByRole("dialog", { name: "New maintenance" });
  await dialog.getByText("That would silence everything").waitFor();
  assert.ok(await dialog.getByRole("button", { name: "Plan it" }).isDisabled());
  await dialog.getByLabel("Name").fill("Move the racks");
  await dialog.getByLabel("Label 1").fill("rack");
  await dialog.getByLabel("Value 1").fill("7");
  await dialog.getByRole("button", { name: "Plan it" }).click();
  await page.getByRole("region", { name: "Maintenance" }).getByText("Move the racks").waitFor();
  await page.getByRole("button", { name: "Month" }).click();
  await page.waitForURL(/calendar=month/);
  await page.getByRole("region", { name: "Calendar" }).getByText(/Move the racks/).first().waitFor();
  await page.getByRole("button", { name: "Remove the maintenance Move the racks" }).click();
  await page.getByText("Move the racks is removed").waitFor();
  await done(page);
});

test("who is on call, an override, and what happens if nobody acknowledges", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts/oncall`);
  await page.getByRole("region", { name: "On call: payments" }).getByText(/until/).waitFor();
  await page.getByRole("region", { name: "Escalation payments" }).getByText("5\u00a0m without acknowledgment", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Override" }).first().click();
  const dialog = page.getByRole("dialog", { name: "Override payments" });
  await dialog.getByLabel("Who takes it").fill("zoe");
  await dialog.getByRole("button", { name: "Override" }).click();
  await page.getByRole("list", { name: "Shifts of payments" }).getByText("zoe").waitFor();
  await page.getByRole("button", { name: "Remove the override of zoe" }).click();
  await page.getByRole("list", { name: "Shifts of payments" }).getByText("zoe").waitFor({ state: "detached" });
  await done(page);
});

test("receivers: tested and previewed; each attempt is in the log, and what is dead is tried again", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts/receivers`);
  await page.getByRole("button", { name: "Send a test to web-team" }).click();
  await page.getByRole("region", { name: "Test of web-team" }).getByText("arrived").waitFor();
  await page.getByRole("button", { name: "Send a test to managers" }).click();
  await page.getByRole("region", { name: "Test of managers" }).getByText("authenticate").waitFor();
  await page.getByRole("button", { name: "Preview what web-team gets" }).click();
  await page.getByRole("dialog").getByText("for too long").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "2 attempts of firing to web-team" }).click();
  await page.getByRole("region", { name: "Attempts", exact: true }).getByText("HTTP 503: try again later").waitFor();
  await page.getByRole("search", { name: "Filter the log" }).getByRole("combobox", { name: "State" }).selectOption("dead");
  await page.waitForURL(/state=dead/);
  await page.getByRole("button", { name: "Retry escalation to managers" }).click();
  await page.getByText("No notice is like that.").waitFor();
  await done(page);
});

test("a preview is copied also where the browser has no clipboard for pages", async () => {
  const page = await open(chromium);
  await page.addInitScript(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await page.goto(`${to.url}/ui/alerts/receivers`);
  await page.getByRole("button", { name: "Preview what web-team gets" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Copy" }).click();
  await page.getByText("Preview copied").waitFor();
  await done(page);
});

test("on a phone rows of many cells are read without scrolling sideways", async () => {
  const page = await open(chromium, PHONE);
  for (const [path, tables] of Object.entries({ receivers: ["Receivers", "Delivery log"], silences: ["Silences", "Maintenance"], "incidents/inc-0001": ["Its alerts", "Notices"] })) {
    await page.goto(`${to.url}/ui/alerts/${path}`);
    for (const name of tables) {
      const table = page.getByRole("region", { name, exact: true });
      await table.getByRole("cell").first().waitFor();
      assert.equal(await table.evaluate((box) => box.scrollWidth - box.clientWidth), 0, name);
    }
  }
  await page.goto(`${to.url}/ui/alerts/receivers`);
  await page.getByRole("region", { name: "Receivers", exact: true }).getByText("cut off").waitFor();
  await page.getByRole("button", { name: "Send a test to managers" }).tap();
  await page.getByRole("region", { name: "Test of managers" }).getByText("authenticate").waitFor();
  await done(page);
});

test("a link opens in place and from the top, and in another tab if one wants", async () => {
  const page = await open(chromium, { viewport: { width: 1000, height: 300 } });
  await page.goto(`${to.url}/ui/alerts`);
  await list(page).getByRole("link").first().waitFor();
  await page.evaluate(() => {
    window.is_same = true;
    scrollTo(0, 200);
  });
  await page.waitForFunction(() => scrollY > 0);
  await list(page).getByRole("link").last().click();
  await page.getByRole("region", { name: "Timeline" }).waitFor();
  assert.equal(await page.evaluate(() => scrollY), 0);
  assert.equal(await page.getByRole("navigation", { name: "Alerts" }).getByRole("link", { name: "Inbox" }).getAttribute("aria-current"), "true");
  const at = page.url();
  const [other] = await Promise.all([page.context().waitForEvent("page"), page.getByRole("main").getByRole("link", { name: "Inbox" }).last().click({ modifiers: ["Control"] })]);
  await other.getByRole("heading", { name: "Inbox", level: 1 }).waitFor();
  assert.equal(page.url(), at);
  await page.getByRole("main").getByRole("link", { name: "Inbox" }).last().click();
  await page.getByRole("heading", { name: "Inbox", level: 1 }).waitFor();
  assert.equal(await page.evaluate(() => window.is_same), true);
  await done(page);
});

test("ten thousand alerts are scrolled through, and only those in sight are there", async () => {
  await arrange("?count=10000");
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts`);
  await list(page).getByRole("link", { name: /more of CheckoutSlow in eu-west/ }).waitFor();
  await list(page).getByRole("link", { name: "MemoryHigh on db-2" }).waitFor();
  await page.getByRole("combobox", { name: "Alerts of each" }).selectOption("all");
  await page.waitForURL(/members=all/);
  await page.getByText("4 incidents, 10 k alerts").waitFor();
  await page.keyboard.press("End");
  await page.mouse.wheel(0, 2_000_000);
  await list(page).getByText("CertificateExpires soon").waitFor();
  assert.ok((await list(page).getByRole("listitem").count()) < 60);
  await done(page);
});

test("an alert for information is said, wherever among the alerts one is", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts`);
  await page.getByText("4 incidents, 6 alerts").waitFor();
  await arrange("?tell=The%20nightly%20backup%20is%20done");
  await page.getByRole("status").getByText("The nightly backup is done").waitFor();
  await done(page);
});

test("nothing fires: it says so, and where what did is", async () => {
  await arrange("?none");
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts`);
  await page.getByText("Nothing fires.").waitFor();
  assert.equal(await page.getByRole("link", { name: /^Firing/ }).count(), 0);
  await page.getByRole("link", { name: "resolved" }).click();
  await page.waitForURL(/state=resolved/);
  await page.getByText("Nothing is resolved.").waitFor();
  await done(page);
});

test("a silence and the incidents lie over charts, and lead to their pages", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/?range=15m`);
  const mark = page.locator(".marks .bar").and(page.getByTitle(/critical: CheckoutSlow in eu-west/)).first();
  await mark.waitFor();
  await mark.click();
  await page.waitForURL(/\/ui\/alerts\/incidents\/inc-0001/);
  await done(page);
});

test("Overview names the worst that fires, and leads there", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/`);
  const now = page.getByRole("region", { name: "Firing now" });
  await now.getByRole("listitem").nth(3).waitFor();
  assert.match(await now.getByRole("listitem").first().innerText(), /critical\s+CheckoutSlow in eu-west\s+nobody has it/);
  await now.getByRole("link", { name: "CheckoutSlow in eu-west" }).click();
  await page.waitForURL(/\/ui\/alerts\/incidents\/inc-0001/);
  await done(page);
});

test("links that were written for Alertmanager lead to the page that answers the same", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/#/alerts?receiver=db-team`);
  await page.waitForURL(/\/ui\/alerts\?receiver=db-team/);
  await page.getByText("1 incident, 1 alert").waitFor();
  await page.goto(`${to.url}/ui/?new#/silences/new?filter=${encodeURIComponent('{job="search"}')}`);
  const dialog = page.getByRole("dialog", { name: "New silence" });
  await dialog.waitFor();
  assert.deepEqual(await dialog.getByPlaceholder("label").evaluateAll((fields) => fields.map(({ value }) => value)), ["job"]);
  await page.keyboard.press("Escape");
  await page.waitForURL(/\/ui\/alerts\/silences$/);
  await done(page);
});

test("a lost connection shows the banner and keeps what was there", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts`);
  await page.getByText("4 incidents, 6 alerts").waitFor();
  await page.context().setOffline(true);
  await page.getByText(/Connection lost/).waitFor();
  assert.ok(await list(page).isVisible());
  await page.context().setOffline(false);
  await page.getByText(/Connected again/).waitFor();
  await done(page);
});
