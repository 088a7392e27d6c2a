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

/** Longest wait for anything that has to come, in milliseconds. */
export const LONG = 60_000;

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
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: FLAGS, timeout: 3 * LONG });
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
  page.setDefaultTimeout(LONG);
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

/** Waits until a page shows what it was asked for: for a moment nothing in sight waits for an answer, and nothing fades or moves. */
export async function settled(page) {
  await page.waitForFunction(
    () => {
      const in_sight = (element) => {
        const { top, bottom } = element.getBoundingClientRect();
        return bottom > 0 && top < innerHeight;
      };
      const waits = document.querySelector("h1, h2") === null || /Asking the server|^Loading /m.test(document.body.innerText) || [...document.querySelectorAll("[aria-busy=true], .dimmed")].some(in_sight);
      const moves = document.getAnimations().some(({ playState, effect }) => playState === "running" && Number.isFinite(effect.getComputedTiming().endTime));
      const now = performance.now();
      if (waits || moves || window.busy_at === undefined) window.busy_at = now;
      return now - window.busy_at > 250;
    },
    undefined,
    { polling: 50 },
  );
}

/** Waits until a reading has been the same for a while, and says what it is. */
export async function still(page, read, ms = 1500) {
  const until = Date.now() + LONG;
  let [last, since] = [await read(), Date.now()];
  while (Date.now() - since < ms) {
    if (Date.now() > until) throw new Error("it does not come to rest");
    await page.waitForTimeout(100);
    const now = await read();
    if (now !== last) [last, since] = [now, Date.now()];
  }
  return last;
}

/** What `pace` takes on a quiet machine of today. */
const PACE_MS = 60;

/** How many times slower than that a page's machine is now, and 1 where it is not: by this much anything takes longer in it. */
export async function pace(page) {
  const took = await page.evaluate(() => {
    const began = performance.now();
    const box = document.body.appendChild(document.createElement("div"));
    for (let round = 0; round < 20; round += 1) {
      const rows = Array.from({ length: 200 }, (_, i) => Object.assign(document.createElement("p"), { textContent: `${round} ${i}` }));
      box.replaceChildren(...rows);
      rows.sort((a, b) => (a.textContent < b.textContent ? -1 : 1));
      box.getBoundingClientRect();
    }
    box.remove();
    return performance.now() - began;
  });
  return Math.max(1, took / PACE_MS);
}

/** Milliseconds of a processor that a page's scripts (`ScriptDuration`) or all its work (`TaskDuration`) has taken so far: whatever else is at work on the machine is not counted. */
export async function worked(page) {
  const client = await page.context().newCDPSession(page);
  await client.send("Performance.enable", { timeDomain: "threadTicks" });
  return async (kind) => (await client.send("Performance.getMetrics")).metrics.find(({ name }) => name === kind).value * 1000;
}

function shell(command) {
  if (command === undefined) return null;
  return new Promise((done, failed) => {
    const child = spawn("sh", ["-c", command], { stdio: "inherit" });
    child.on("exit", (code) => (code === 0 ? done() : failed(new Error(`the restart command ended with ${code}`))));
  });
}
