/** Journeys of who is asked who they are: against the mock, whatever server there is, as it can be told to ask. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { PASSWORD } from "../mock/account.js";
import { mocked, open, settled, stage } from "./browser.js";

const AXE = createRequire(import.meta.url).resolve("axe-core");
const { to, chromium } = await stage(mocked);
const asked = (on) => fetch(`${to.url}/mock/auth?on=${on}`, { method: "POST" });

async function logIn(page, password = PASSWORD) {
  await page.getByRole("textbox", { name: "Name" }).fill("ann");
  await page.getByRole("textbox", { name: "Password" }).fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}

test("whoever is not known logs in and comes back to where they wanted to go", async () => {
  await asked(true);
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/admin/queries?range=15m`);
  await page.waitForURL(/\/ui\/login\?next=/);
  await page.getByRole("heading", { name: "Log in to Barograph" }).waitFor();
  assert.equal(await page.getByRole("navigation").count(), 0);
  await logIn(page, "something else");
  await page.getByRole("alert").getByText("The name or the password is wrong.").waitFor();
  assert.equal(await page.getByRole("textbox", { name: "Password" }).inputValue(), "");
  await logIn(page);
  await page.waitForURL(/\/ui\/admin\/queries\?range=15m/);
  await page.getByRole("heading", { name: "Queries", level: 1 }).waitFor();
  await page.getByRole("button", { name: "Account" }).click();
  await page.getByText("may read, write, alert-ack, admin").waitFor();
  await page.getByRole("menuitem", { name: "Log out" }).click();
  await page.waitForURL(/\/ui\/login/);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("the login leads nowhere else", async () => {
  await asked(true);
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/login?next=${encodeURIComponent("https://evil.example/ui/")}`);
  await logIn(page);
  await page.waitForURL(`${to.url}/ui/`);
  await page.context().close();
});

test("a token is made, shown once, and revoked; the audit page tells it", async () => {
  await asked(true);
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/login?next=/ui/admin/access`);
  await logIn(page);
  const form = page.getByRole("form", { name: "New token" });
  await form.getByRole("textbox", { name: "Name" }).fill("grafana");
  await form.getByRole("button", { name: "Make a token" }).click();
  await page.getByText(/bgt_\w+/).waitFor();
  await page.getByRole("button", { name: "Copy" }).click();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^bgt_/);
  await page.getByRole("button", { name: "Done" }).click();
  assert.equal(await page.getByText(/bgt_\w+/).count(), 0);
  const row = page.getByRole("region", { name: "Tokens" }).getByRole("row", { name: /grafana/ });
  await row.getByRole("button", { name: "Revoke token grafana", exact: true }).click();
  await form.getByRole("textbox", { name: "Name" }).focus();
  await row.getByRole("button", { name: "Revoke token grafana", exact: true }).click();
  await row.getByRole("button", { name: "Really revoke token grafana" }).click();
  await row.waitFor({ state: "detached" });
  const user = page.getByRole("form", { name: "New user" });
  await user.getByRole("textbox", { name: "User name" }).fill("bob");
  await user.getByRole("textbox", { name: "Password" }).fill("correct horse battery");
  await user.getByRole("button", { name: "Add the user" }).click();
  await page.getByRole("region", { name: "Users" }).getByRole("row", { name: /bob/ }).waitFor();
  await page.getByRole("navigation", { name: "Admin" }).getByRole("link", { name: "Audit" }).click();
  for (const action of ["token.create", "token.revoke", "user.create"]) await page.getByRole("cell", { name: action }).first().waitFor();
  await page.getByRole("searchbox", { name: "Contains" }).fill("revoke");
  await page.getByRole("cell", { name: "token.create" }).waitFor({ state: "detached" });
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

for (const colorScheme of ["light", "dark"]) {
  for (const [width, height] of [[1280, 800], [360, 740]]) {
    test(`pages of accounts, ${colorScheme}, ${width} px: nothing scrolls sideways, and axe finds nothing serious`, async () => {
      await asked(true);
      const page = await open(chromium, { colorScheme, viewport: { width, height } });
      for (const path of ["login", "admin/access", "admin/audit"]) {
        await page.goto(`${to.url}/ui/${path}`);
        await settled(page);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width, path);
        await page.evaluate(readFileSync(AXE, "utf8"));
        const found = await page.evaluate(async () => (await globalThis.axe.run()).violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`));
        assert.deepEqual(found, [], path);
        if (process.env.PICTURES !== undefined) await page.screenshot({ path: `${process.env.PICTURES}/${path.replace("/", "-")}-${colorScheme}-${width}.png`, fullPage: true });
        if (path === "login") {
          await logIn(page);
          await page.waitForURL(`${to.url}/ui/`);
        }
      }
      await page.context().close();
    });
  }
}
