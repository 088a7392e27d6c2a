/**
 * What the journeys share: the server they run against, and a browser with a clean profile.
 *
 * `BAROGRAPH_URL` names a running server; without it the mock serves `dist/`. `BAROGRAPH_RESTART_CMD` is a shell command that
 * restarts that server on the same address and data.
 */
import { spawn } from "node:child_process";
import { after } from "node:test";
import { chromium } from "playwright-core";
import { start } from "../mock/main.js";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/**
 * What is no fault of the pages: requests that a journey lets fail, and the inline style that Chromium itself puts on text
 * typed over a mark, which a strict policy then blocks.
 */
const EXPECTED = /Failed to load resource|net::ERR|Applying inline style/;

/** The address of the server, how to restart it, and how to let go of it. */
export async function server() {
  const url = process.env.BAROGRAPH_URL;
  if (url !== undefined) return { url: url.replace(/\/$/, ""), is_mock: false, restart: () => shell(process.env.BAROGRAPH_RESTART_CMD), close: () => undefined };
  return mocked();
}

/** The mock, whether or not there is a server; if there is, it serves the pages of that. */
export async function mocked() {
  const mock = await start();
  return {
    url: mock.url,
    is_mock: true,
    restart: () => fetch(`${mock.url}/mock/down?ms=2500`, { method: "POST" }).then(() => undefined),
    close: () => (mock.server.closeAllConnections(), mock.server.close()),
  };
}

export function browser() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: FLAGS });
}

/** What the journeys of one file run in: a server (or the mock, whatever there is) and a browser, both let go at the end. */
export async function stage(serve = server) {
  const to = await serve();
  const started = await browser();
  after(async () => {
    await started.close();
    await to.close();
  });
  return { to, chromium: started };
}

/** A page that remembers what went wrong on it: script errors, and policy violations. Failed requests are not among them. */
export async function open(from, options = {}) {
  const context = await from.newContext({ viewport: { width: 1440, height: 900 }, permissions: ["clipboard-read", "clipboard-write"], ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !EXPECTED.test(message.text())) page.problems.push(message.text());
  });
  return page;
}

/** Presses `g` and a page's letter; again where a busy machine took longer between the two than the pages wait. */
export async function goTo(page, letter) {
  const from = page.url();
  for (const until = Date.now() + 60_000; page.url() === from && Date.now() < until; ) {
    await page.keyboard.press("g");
    await page.keyboard.press(letter);
    await page.waitForURL((url) => url.href !== from, { timeout: 2_000 }).catch(() => undefined);
  }
}

function shell(command) {
  if (command === undefined) return null;
  return new Promise((done, failed) => {
    const child = spawn("sh", ["-c", command], { stdio: "inherit" });
    child.on("exit", (code) => (code === 0 ? done() : failed(new Error(`the restart command ended with ${code}`))));
  });
}
