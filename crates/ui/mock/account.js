/** Accounts, made up: `POST /mock/auth?on=true` has the mock ask who one is; `ann` with the password below may do everything. */
export const PASSWORD = "correct horse battery";

const TENANTS = ["default", "shop", "blog"].map((name, n) => ({
  name,
  default: n === 0,
  limits: { series: n === 0 ? null : 100_000, samples_per_second: n === 0 ? null : 50_000, queries: n === 0 ? null : 20 },
  use: { series: 1_234 * (n + 1), queries: n, samples: 987_654, queries_asked: 321 },
  refused: { samples_per_second: n * 40, queries: 0, share: 0, labels: n },
}));

const SCOPES = ["read", "write", "alert-ack", "admin"];
let on = false;
let session = null;
let tokens = [];
let users = [{ name: "ann", roles: ["admin"], tenant: null, created: null, source: "configuration" }];
let records = [];

/** Switches on or off who is asked, from the start. */
export function arrange(params) {
  on = params.get("on") === "true";
  session = null;
  tokens = [];
  users = users.slice(0, 1);
  records = [];
}

function note(action, object, outcome = "done") {
  records.unshift({ time_ms: Date.now(), user: session === null ? "anonymous" : "ann", via: session === null ? "anonymous" : "session", address: "127.0.0.1", action, object, outcome });
}

function me() {
  const known = !on || session !== null;
  return { authentication: on, oidc: on, user: on ? (known ? "ann" : "anonymous") : "local", via: on ? (known ? "session" : "anonymous") : "local", scopes: known ? SCOPES : [], tenant: null, password: false, csrf: session };
}

/** Whether a request is let in; an answer `{status, document}` if not. */
export function refused(url, request) {
  if (!on || !/^\/api\//.test(url.pathname) || /\/auth\/(me|login)$/.test(url.pathname)) return null;
  if (session === null) return { status: 401, document: { status: 401, detail: "say who you are: by a token, a password or a session" } };
  if (request.method !== "GET" && request.headers["x-csrf-token"] !== session) return { status: 403, document: { status: 403, detail: "a change by a session needs the header x-csrf-token" } };
  return null;
}

/** The answer to a path below `/api/barograph/v1/`, or `null`. */
export function account(path, method, text) {
  const given = () => JSON.parse(text || "{}");
  const id = decodeURIComponent(/^auth\/[a-z]+\/(.+)$/.exec(path)?.[1] ?? "");
  if (path === "auth/me") return { status: 200, document: me() };
  if (path === "auth/login") {
    if (given().user !== "ann" || given().password !== PASSWORD) {
      note("login", given().user, "refused");
      return { status: 401, document: { status: 401, detail: "the name or the password is wrong" } };
    }
    session = "only-our-pages-can-read-this";
    note("login", "ann");
    return { status: 200, document: me() };
  }
  if (path === "auth/logout") {
    note("logout", "ann");
    session = null;
    return { status: 204, document: null };
  }
  if (path === "auth/tokens" && method === "POST") {
    const { name, scopes, expires_in, service } = given();
    const made = { id: `id${tokens.length + 1}`, name, owner: service ? null : "ann", scopes, created: Date.now(), expires: expires_in ? Date.now() + expires_in * 1000 : null, expired: false, used: null };
    tokens.unshift(made);
    note("token.create", made.id);
    return { status: 201, document: { ...made, token: "bgt_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG" } };
  }
  if (path.startsWith("auth/tokens/") && method === "DELETE") {
    tokens = tokens.filter((token) => token.id !== id);
    note("token.revoke", id);
    return { status: 204, document: null };
  }
  if (path === "auth/users" && method === "POST") {
    users.push({ name: given().name, roles: given().roles, tenant: null, created: Date.now(), source: "stored" });
    note("user.create", given().name);
    return { status: 201, document: users.at(-1) };
  }
  if (path.startsWith("auth/users/") && method === "DELETE") {
    users = users.filter((user) => user.name !== id);
    note("user.delete", id);
    return { status: 204, document: null };
  }
  if (path === "auth/tokens") return { status: 200, document: { tokens } };
  if (path === "auth/users") return { status: 200, document: { users } };
  if (path === "auth/sessions") return { status: 200, document: { sessions: session === null ? [] : [{ id: "s1", user: "ann", address: "127.0.0.1", agent: "Firefox", began_ms: Date.now() - 9e5, used_ms: Date.now(), current: true }] } };
  if (path === "tenants") return { status: 200, document: { enabled: true, own: "default", tenants: TENANTS } };
  if (path === "audit") return { status: 200, document: { enabled: on, records } };
  return null;
}
