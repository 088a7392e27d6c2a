/** Journeys on the page of rules against a server that evaluates them: `BAROGRAPH_URL` names one that asks nobody who they are. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, stage } from "./browser.js";

const { to, chromium } = await stage();
const skip = to.is_mock && "these need a server that evaluates rules";
const NAME = `Journey${Date.now()}`;

async function done(page) {
  assert.deepEqual(page.problems, []);
  await page.context().close();
}

test("a rule is written as YAML, refused where it is wrong, made, fires, is switched off and on, and removed", { skip }, async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts/rules/new`);
  await page.getByRole("button", { name: "YAML" }).click();
  const yaml = page.getByRole("textbox", { name: "The rule as YAML" });
  await yaml.fill(`alert: ${NAME}\nexpr: vector(1 > 0\n`);
  await page.getByRole("button", { name: "Make the rule" }).click();
  await page.getByRole("alert").getByText(/line 2, column 7: `expr`/).waitFor();
  await yaml.fill(`alert: ${NAME}\nexpr: vector(1) > 0\ninterval: 1s\nlabels: {severity: info}\n`);
  await page.getByRole("button", { name: "Make the rule" }).click();
  await page.waitForURL(/\/ui\/alerts\/rules\/rule_[0-9a-f]{16}/);
  await page.getByRole("heading", { name: NAME, level: 2 }).waitFor();
  await page.getByText("firing", { exact: true }).first().waitFor();
  const versions = page.getByRole("region", { name: "Versions" });
  await versions.getByText("made").waitFor();
  await page.getByLabel("For", { exact: true }).fill("1h");
  await page.getByRole("button", { name: "Save" }).click();
  await versions.getByRole("row").nth(2).waitFor();
  await page.getByRole("button", { name: "Switch off" }).click();
  await page.getByRole("button", { name: "Switch on" }).waitFor();
  await page.getByText("off", { exact: true }).first().waitFor();
  await page.getByRole("button", { name: "Switch on" }).click();
  await page.getByRole("button", { name: "Switch off" }).waitFor();
  await versions.getByText("switched off").waitFor();
  await page.goto(`${to.url}/ui/alerts/rules?find=${NAME}`);
  await page.getByRole("region", { name: "Rules", exact: true }).getByRole("link", { name: NAME }).click();
  await page.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("button", { name: "Really remove it" }).click();
  await page.waitForURL(/\/ui\/alerts\/rules(\?.*)?$/);
  await done(page);
});

test("a rule is proved on what is stored, and the form keeps what it says", { skip }, async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/alerts/rules/new`);
  await page.getByLabel("Name", { exact: true }).fill(`${NAME}Proved`);
  await page.getByRole("textbox", { name: "Expression" }).click();
  await page.keyboard.type("vector(1) > 0");
  await page.getByLabel("For", { exact: true }).fill("1m");
  await page.getByRole("button", { name: "Prove it" }).click();
  const proof = page.getByRole("region", { name: "Prove it" });
  await proof.getByRole("region", { name: "Would have fired", exact: true }).getByText("1").waitFor();
  await proof.getByRole("region", { name: "Would have woken" }).waitFor();
  await page.getByLabel("Name", { exact: true }).fill(`${NAME}Proved`);
  await page.getByRole("button", { name: "Make the rule" }).click();
  await page.waitForURL(/\/ui\/alerts\/rules\/rule_[0-9a-f]{16}/);
  assert.equal(await page.getByLabel("For", { exact: true }).inputValue(), "1m");
  await page.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("button", { name: "Really remove it" }).click();
  await page.waitForURL(/\/ui\/alerts\/rules(\?.*)?$/);
  await done(page);
});
