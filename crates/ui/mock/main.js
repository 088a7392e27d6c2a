/**
 * The built pages in `dist/`, or those of the server that `BAROGRAPH_URL` names, and the mock API on one port: `npm run build
 * && npm run mock`. What the browser tests run against when no server is named. The pages come with a strict content security policy, so a violation shows early.
 */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { createApi } from "./api.js";

/** Where the pages are: a server that runs, or what was built last. */
const PAGES = process.env.BAROGRAPH_URL === undefined ? new URL("../dist/", import.meta.url) : new URL("/ui/", process.env.BAROGRAPH_URL);
const POLICY = "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";
const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css", svg: "image/svg+xml" };

/** Serves until closed; resolves with the address. */
export function start(port = 0) {
  const api = createApi();
  const server = createServer((request, response) => void api(request, response, () => void page(request, response)));
  return new Promise((done) => server.listen(port, "127.0.0.1", () => done({ server, url: `http://127.0.0.1:${server.address().port}` })));
}

async function page(request, response) {
  const path = new URL(request.url, "http://mock").pathname;
  if (!path.startsWith("/ui/")) return response.writeHead(302, { location: "/ui/" }).end();
  const name = /\.\w+$/.test(path) ? path.slice("/ui/".length) : "index.html";
  try {
    const bytes = gzipSync(await read(new URL(name, PAGES)));
    response.writeHead(200, { "content-type": TYPES[name.split(".").at(-1)] ?? "application/octet-stream", "content-encoding": "gzip", "content-security-policy": POLICY });
    response.end(bytes);
  } catch {
    response.writeHead(404).end();
  }
}

async function read(url) {
  if (url.protocol === "file:") return readFile(url);
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  return Buffer.from(await answer.arrayBuffer());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await start(Number(process.env.PORT ?? 0));
  console.log(`${url}/ui/`);
}
