/** Journeys on the page of targets, by role and visible text. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, stage } from "./browser.js";

const { to, chromium } = await stage();
/** What the mock makes up is not what a server scrapes. */
const with_mock = (name, journey) => {
  if (to.is_mock) test(name, journey);
};

test("targets are found among the tabs of Admin, and say how they fare", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/admin/storage`);
  await page.getByRole("navigation", { name: "Admin" }).getByRole("link", { name: "Targets" }).click();
  await page.waitForURL(/\/ui\/admin\/targets/);
  await page.getByRole("heading", { name: "Targets", level: 1 }).waitFor();
  await page.getByRole("region", { name: "Down" }).waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

with_mock("what is down comes first, and its labels are shown before and after", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/admin/targets`);
  const shop = page.getByRole("region", { name: "Targets of shop" });
  const rows = shop.getByRole("row");
  await rows.nth(1).getByText("Down").waitFor();
  await rows.nth(1).getByText("Connection refused").waitFor();
  await rows.nth(1).getByRole("button", { name: /^Labels of/ }).click();
  const labels = page.getByRole("region", { name: /^Labels of http:\/\/payment/ });
  await labels.getByText('__metrics_path__="/metrics"').waitFor();
  await labels.getByText('instance="payment-55d8b7:8080"').waitFor();
  await page.getByRole("button", { name: "Close the labels" }).click();
  await labels.waitFor({ state: "detached" });
  await page.getByRole("region", { name: "Dropped of node" }).getByText("by a rule").waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

with_mock("a filter and a state stand in the address", async () => {
  const page = await open(chromium);
  await page.goto(`${to.url}/ui/admin/targets`);
  await page.getByRole("heading", { name: /^shop/ }).waitFor();
  await page.getByRole("searchbox", { name: "Filter" }).fill("payment");
  await page.waitForURL(/filter=payment/);
  await page.getByRole("heading", { name: /^node/ }).waitFor({ state: "detached" });
  await page.getByRole("combobox", { name: "State" }).selectOption("up");
  await page.getByText("No target fits.").waitFor();
  await page.goto(`${to.url}/ui/admin/targets?state=dropped`);
  await page.getByRole("region", { name: "Dropped of shop" }).getByText("is not supported").waitFor();
  assert.equal(await page.getByRole("region", { name: "Targets of shop" }).count(), 0);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});
