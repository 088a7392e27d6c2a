/**
 * A server under a path, behind a reverse proxy that passes everything on as it is. `BAROGRAPH_BINARY` names the binary that is
 * started for it.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request as ask } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { browser, goTo, open } from "./browser.js";

const BINARY = process.env.BAROGRAPH_BINARY;
const PASSWORD = "correct horse battery";
const PREFIX = "/tools/baro";

/** A proxy to whatever `to.port` is by then, and its address. */
function proxy(to) {
  const server = createServer((from, answer) => {
    const onward = ask({ host: "127.0.0.1", port: to.port, method: from.method, path: from.url, headers: from.headers }, (reply) => {
      answer.writeHead(reply.statusCode, reply.rawHeaders);
      reply.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    answer.on("close", () => onward.destroy());
    from.pipe(onward);
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done({ server, url: `http://127.0.0.1:${server.address().port}` })));
}

/** A server that asks who calls, once it is ready. */
async function serve(folder, url) {
  const hash = execFileSync(BINARY, ["auth", "hash"], { input: `${PASSWORD}\n` }).toString().trim();
  const config = join(folder, "barograph.yml");
  writeFileSync(config, `auth: {users: [{name: ann, password_hash: '${hash}', roles: [admin]}]}\n`);
  const ports = ["--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0", "--otlp-grpc-addr", "off", "--otlp-http-addr", "off"];
  const words = ["serve", "--log-format", "json", "--config", config, "--data-dir", join(folder, "data"), "--external-url", url, ...ports];
  const child = spawn(BINARY, words, { stdio: ["ignore", "ignore", "pipe"] });
  let port = 0;
  for await (const line of createInterface({ input: child.stderr })) {
    const entry = JSON.parse(line);
    if (entry.http !== undefined) port = Number(new URL(entry.http).port);
    if (entry.message === "ready") break;
  }
  child.stderr.resume();
  return { child, port };
}

test("behind a proxy and under a path: a login, live charts, pages, and the way out", { skip: BINARY === undefined && "BAROGRAPH_BINARY names no binary" }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "barograph-prefix-"));
  const to = { port: 0 };
  const front = await proxy(to);
  const running = await serve(folder, `${front.url}${PREFIX}/`);
  to.port = running.port;
  const chromium = await browser();
  after(async () => {
    await chromium.close();
    front.server.closeAllConnections();
    front.server.close();
    running.child.kill();
    await new Promise((done) => running.child.on("exit", done));
    rmSync(folder, { recursive: true });
  });

  const page = await open(chromium);
  const outside = [];
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && !url.pathname.startsWith(`${PREFIX}/`)) outside.push(request.url());
  });
  await page.goto(`${front.url}${PREFIX}/ui/admin/queries?range=15m`);
  await page.waitForURL(/\/tools\/baro\/ui\/login\?next=/);
  await page.getByRole("textbox", { name: "Name" }).fill("ann");
  await page.getByRole("textbox", { name: "Password" }).fill(PASSWORD);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL(/\/tools\/baro\/ui\/admin\/queries\?range=15m/);
  await page.getByRole("heading", { name: "Queries", level: 1 }).waitFor();
  const [cookie] = await page.context().cookies();
  assert.equal(cookie.path, `${PREFIX}/`);

  await goTo(page, "o");
  await page.waitForURL(/\/tools\/baro\/ui\/\?range=15m/);
  await page.getByRole("img", { name: /^Load\./ }).waitFor();
  assert.equal(await page.getByRole("switch", { name: "Live updates" }).getAttribute("aria-checked"), "true");
  await page.getByRole("switch", { name: "Live updates" }).getByText("Live").waitFor();
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Health" }).click();
  await page.getByRole("heading", { name: "Components", level: 1 }).waitFor();

  await page.getByRole("button", { name: "Account" }).click();
  await page.getByRole("menuitem", { name: "Log out" }).click();
  await page.waitForURL(/\/tools\/baro\/ui\/login/);
  assert.deepEqual(outside, []);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});
