/**
 * What the Alerts pages ask for, made up: incidents that can be taken, silences that can be made, rules that can be proved.
 *
 * `POST /mock/alerts?count=N` adds so many alerts, `?none` takes all away, `?tell=TEXT` tells an alert for information on the bus.
 */
const now = () => Date.now();
const iso = (ms) => new Date(ms).toISOString();
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const STARTED = now();

let many = 0;
let none = false;
let told = [];
let incidents = [];
let silences = [];
let maintenance = [];
let rules = [];
let overrides = [];
let deliveries = [];

/** A stable number of a text. */
const hash = (text) => [...text].reduce((sum, one) => (sum * 31 + one.charCodeAt(0)) >>> 0, 7).toString(16).padStart(16, "0");

function start() {
  const incident = (id, title, severity, state, ago, more = {}) => ({
    id, title, severity, state, opened_at: iso(STARTED - ago), acknowledged_at: null, resolved_at: null, group_key: `{}/{team="web"}:{alertname="${title}"}`, rule: null,
    group_labels: { alertname: title.split(" ")[0] }, receiver: "web-team", members: 1, ack: null, assignee: null, level: 1, policy: "default", next_escalation_at: null, tta_seconds: null, ttr_seconds: null, timeline: [], ...more,
  });
  const ack = (by, ago, ack_message = "") => ({ alert_id: "alert_1", acknowledged_by: by, ack_message, auto_ack: false, timestamp: iso(STARTED - ago) });
  incidents = [
    incident("inc-0001", "CheckoutSlow in eu-west", "critical", "open", 7 * MINUTE, { members: 3, level: 1, policy: "payments", rule: "web/CheckoutSlow", group_labels: { alertname: "CheckoutSlow", region: "eu-west" }, next_escalation_at: iso(STARTED + 8 * MINUTE), receiver: "web-team" }),
    incident("inc-0002", "TargetDown job=payment", "critical", "acknowledged", 42 * MINUTE, { members: 1, group_labels: { alertname: "TargetDown", job: "payment" }, ack: ack("ann", 38 * MINUTE, "restarting it"), acknowledged_at: iso(STARTED - 38 * MINUTE), tta_seconds: 240 }),
    incident("inc-0003", "MemoryHigh on db-2", "warning", "open", 3 * HOUR, { members: 1, group_labels: { alertname: "MemoryHigh", host: "db-2" }, assignee: "bo", receiver: "db-team", level: 2, next_escalation_at: iso(STARTED + 2 * MINUTE) }),
    incident("inc-0004", "CertificateExpires soon", "info", "open", 26 * HOUR, { members: 1, group_labels: { alertname: "CertificateExpires" }, receiver: "dashboard", level: null, policy: null }),
    incident("inc-0005", "DiskFull on logs-1", "critical", "resolved", 20 * MINUTE, { members: 1, group_labels: { alertname: "DiskFull", host: "logs-1" }, resolved_at: iso(STARTED - 12 * MINUTE), ack: ack("ann", 18 * MINUTE), tta_seconds: 120, ttr_seconds: 480 }),
    incident("inc-0006", "ErrorsHigh job=search", "warning", "resolved", 4 * HOUR, { members: 2, group_labels: { alertname: "ErrorsHigh", job: "search" }, resolved_at: iso(STARTED - 3 * HOUR), ttr_seconds: 3600 }),
  ];
  for (const one of incidents) {
    note(one, "opened", null, `${one.title}: ${one.members} alert${one.members === 1 ? "" : "s"} fire${one.members === 1 ? "s" : ""}`, Date.parse(one.opened_at));
    note(one, "notified", null, `${one.receiver} was told by webhook`, Date.parse(one.opened_at) + 31_000);
    if (one.level === 2) note(one, "escalated", null, "No acknowledgment after 15 minutes: level 2, managers", Date.parse(one.opened_at) + 15 * MINUTE);
    if (one.ack !== null) note(one, "acknowledged", one.ack.acknowledged_by, one.ack.ack_message === "" ? "Acknowledged" : one.ack.ack_message, Date.parse(one.ack.timestamp));
    if (one.resolved_at !== null) note(one, "resolved", null, "All alerts are over", Date.parse(one.resolved_at));
  }
  const silence = (id, state, matchers, comment, from, to, createdBy = "ann") => ({ id, matchers, startsAt: iso(STARTED + from), endsAt: iso(STARTED + to), updatedAt: iso(STARTED + from), createdBy, comment, status: { state } });
  const match = (name, value, isRegex = false) => ({ name, value, isRegex, isEqual: true });
  silences = [
    silence("5a1c-1", "active", [match("host", "db-2"), match("alertname", "Disk.*", true)], "disks are being moved", -2 * HOUR, 3 * HOUR),
    silence("5a1c-2", "pending", [match("job", "search")], "reindexing tonight", 5 * HOUR, 9 * HOUR, "bo"),
    silence("5a1c-3", "expired", [match("team", "web")], "deploy of Tuesday", -30 * HOUR, -28 * HOUR),
  ];
  maintenance = [
    { id: "m-1", name: "Backups", matchers: [match("job", "backup")], start: iso(Math.floor((STARTED - 240 * HOUR) / (24 * HOUR)) * 24 * HOUR + 2 * HOUR), duration_seconds: 5400, recurrence: { every: "day" }, timezone: "UTC", comment: "they make noise", created_by: "ann", active: false, next_start: iso(Math.ceil(STARTED / (24 * HOUR)) * 24 * HOUR + 2 * HOUR) },
    { id: "m-2", name: "Patch day", matchers: [match("env", "staging")], start: iso(STARTED + 20 * HOUR), duration_seconds: 4 * 3600, recurrence: { every: "week" }, timezone: "Europe/Berlin", comment: "", created_by: "bo", active: false, next_start: iso(STARTED + 20 * HOUR) },
  ];
  const rule = (group, name, severity, expr, more = {}) => ({
    id: `${group}/${name}`, name, kind: "threshold", severity, expr, for: "5m", keep_firing_for: "0s", labels: { severity }, annotations: { summary: `${name}: {{ $value }}` }, group, file: "rules/web.yml", editable: false, version: 1, enabled: true,
    state: "inactive", health: "ok", last_error: null, last_evaluation: iso(now() - 4000), evaluation_ms: 1.4, active: 0, fired_24h: 0, flapping: false, mtta: 210, mttr: 1900, escalation: null, runbook_url: null, params: {}, ...more,
  });
  rules = [
    rule("web", "CheckoutSlow", "critical", "system_load_1m > 1.2", { state: "firing", active: 3, fired_24h: 2, editable: true, file: null, version: 3, escalation: "payments", runbook_url: "https://runbooks.example/checkout", params: { clear_threshold: 1.1 } }),
    rule("web", "ErrorsHigh", "warning", "sum by (code) (rate(http_requests_total[5m])) > 150", { fired_24h: 14, flapping: true, noisy: true, noisy_why: "it fires and stops again and again", editable: true, file: null }),
    rule("web", "TargetDown", "critical", "up == 0", { state: "firing", active: 1, fired_24h: 1, for: "1m" }),
    rule("host", "MemoryHigh", "warning", "system_memory_percentage > 43", { state: "firing", active: 1, fired_24h: 1 }),
    rule("host", "DiskFull", "critical", "barograph_storage_disk_bytes{kind=\"free\"} < 1e8", { fired_24h: 1, for: "10m" }),
    rule("host", "LoadTrend", "warning", "system_load_15m", { kind: "trend", state: "pending", active: 1, params: { window: "24h" } }),
    rule("host", "CertificateExpires", "info", "probe_ssl_earliest_cert_expiry - time() < 14 * 86400", { state: "firing", active: 1, fired_24h: 1, for: "0s" }),
    rule("search", "IndexLag", "warning", "sum(index_lag_seconds", { health: "err", last_error: "1:22: unclosed left parenthesis" }),
    rule("search", "Reindexing", "info", "up == 2", { enabled: false, state: "inactive", editable: true, file: null }),
  ];
  overrides = [{ id: "o-1", schedule: "payments", user: "cho", start: iso(STARTED + 3 * 24 * HOUR), end: iso(STARTED + 3 * 24 * HOUR + 10 * HOUR) }];
  const sent = (id, receiver, channel, reason, state, ago, attempts, more = {}) => ({ id, receiver, channel, group_key: "g", incident_id: "inc-0001", reason, seq: 1, level: 1, state, queued_at: iso(STARTED - ago), sent_at: state === "sent" ? iso(STARTED - ago + 800) : null, next_at: state === "retrying" ? iso(STARTED + 20_000) : null, attempts, ...more });
  const tried = (ok, status, error, took_ms, ago) => ({ at: iso(STARTED - ago), ok, status, error, took_ms });
  deliveries = [
    sent("d-1", "web-team", "webhook", "firing", "sent", 6.5 * MINUTE, [tried(false, 503, "HTTP 503: try again later", 120, 6.5 * MINUTE), tried(true, 200, null, 82, 6.4 * MINUTE)]),
    sent("d-2", "web-team", "email", "firing", "retrying", 6.5 * MINUTE, [tried(false, null, "mail.example:587: connection refused", 3, 6.5 * MINUTE)]),
    sent("d-3", "db-team", "slack", "firing", "sent", 3 * HOUR, [tried(true, 200, null, 212, 3 * HOUR)], { incident_id: "inc-0003" }),
    sent("d-4", "managers", "sms", "escalation", "dead", 2.7 * HOUR, [tried(false, 401, "HTTP 401: authenticate", 340, 2.7 * HOUR)], { incident_id: "inc-0003", level: 2 }),
  ];
}

function note(incident, kind, actor, text, at = now(), data = {}) {
  incident.timeline.push({ seq: incident.timeline.length + 1, at: iso(at), kind, actor, text, data });
}

start();

/** Answers `POST /mock/alerts`. */
export function arrangeAlerts(path, params) {
  if (path !== "/mock/alerts") return false;
  if (params.has("tell")) told.push({ alert_type: "backup", severity: "info", message: params.get("tell"), context: {}, timestamp: iso(now()) });
  else {
    many = Number(params.get("count") ?? 0);
    none = params.has("none");
    start();
  }
  return true;
}

/** Events of the bus `alerts` since they were asked for last. */
export function toldAlerts() {
  const events = told.map((document) => ({ event: "system_alert", document }));
  told = [];
  return events;
}

function membersOf(one) {
  const state = one.state === "resolved" ? "resolved" : "firing";
  const hosts = one.id === "inc-0001" && many > 0 ? many : one.members;
  return Array.from({ length: hosts }, (_, i) => {
    const labels = { ...one.group_labels, severity: one.severity, ...(hosts > 1 && { instance: `web-${String(i + 1).padStart(hosts > 9 ? 5 : 1, "0")}:8080` }), env: "prod" };
    const fingerprint = hash(JSON.stringify(labels));
    const value = { CheckoutSlow: 1.31 + i / 10, MemoryHigh: 44.2, TargetDown: 0, DiskFull: 8.1e7 }[one.group_labels.alertname] ?? 12.5;
    return {
      id: `alert_${fingerprint}`, alert_id: `alert_${fingerprint}`, fingerprint, state, labels, annotations: { summary: `${one.group_labels.alertname} at ${labels.instance ?? labels.host ?? labels.job ?? "a host"}`, runbook_url: "https://runbooks.example/checkout" }, kind: "threshold", alert_type: "threshold", severity: one.severity,
      message: `${one.group_labels.alertname} at ${labels.instance ?? labels.host ?? labels.job ?? "a host"} for too long`, context: {}, timestamp: one.opened_at, value, threshold: 1.2, evidence: null, starts_at: one.opened_at, ends_at: one.resolved_at, updated_at: iso(now()),
      muted_by: one.id === "inc-0003" ? [{ kind: "silence", id: "5a1c-1" }] : [], ack: one.ack, level: one.level, incident_id: one.id, rule: one.rule ?? one.group_labels.alertname, generator_url: "", receivers: [one.receiver],
    };
  });
}

const PENDING = () => {
  const labels = { alertname: "LoadTrend", severity: "warning", host: "web-3" };
  return { ...membersOf(incidents[2])[0], id: "alert_pending", fingerprint: "00000000000000aa", state: "pending", labels, severity: "warning", message: "load goes up", incident_id: null, muted_by: [], receivers: [], starts_at: iso(STARTED - MINUTE) };
};

const shown = (one) => {
  const members = membersOf(one);
  const rest = { ...one };
  delete rest.timeline;
  return { ...rest, alert_count: members.length, firing_count: members.length, alerts: members.slice(0, 100).map(({ id, fingerprint, labels, state, starts_at, ends_at }) => ({ id, fingerprint, labels, state, starts_at, ends_at })) };
};

const fits = (labels, filters) =>
  filters.every((text) => {
    const [, name, operator, value] = /^([^=!~]+)(=~|!~|!=|=)"(.*)"$/.exec(text) ?? [];
    if (name === undefined) return false;
    const has = labels[name] ?? "";
    const is = operator.endsWith("~") ? new RegExp(`^(?:${value})$`).test(has) : has === value;
    return operator.startsWith("!") ? !is : is;
  });

const found = (document, status = 200) => ({ status, document });
const missing = (what) => found({ status: 404, title: "Not Found", detail: `there is no ${what}` }, 404);
const wrong = (detail) => found({ status: 400, title: "Bad Request", detail }, 400);

/** The answer to a path of ours or of Alertmanager's, as `{ status, document }`, or `null`. */
export function alerting(pathname, method, params, text) {
  const given = () => {
    try {
      return JSON.parse(text || "{}");
    } catch {
      return { alert: /alert:\s*(\S+)/.exec(text)?.[1], expr: /expr:\s*(.+)/.exec(text)?.[1], labels: {}, yaml: text };
    }
  };
  const v2 = /^\/api\/v2\/(silences?)(?:\/(.+))?$/.exec(pathname);
  if (v2 !== null) return silencing(v2[1], v2[2], method, given);
  const path = /^\/api\/barograph\/v1\/(.+)$/.exec(pathname)?.[1];
  if (path === undefined) return null;
  const parts = path.split("/").map(decodeURIComponent);
  const [what, id, act] = parts;
  if (path === "alerts" && method === "GET") {
    const state = params.get("state");
    const all = none ? [] : [...incidents.flatMap(membersOf), PENDING()];
    return found({ alerts: all.filter((one) => (state === null || one.state === state) && fits(one.labels, params.getAll("filter")) && (!params.has("receiver") || one.receivers.includes(params.get("receiver")))) });
  }
  if (what === "alerts" && id === "rules") return ruling(parts.slice(2), method, given);
  if (what === "alerts" && act === "ack") return found({});
  if (path === "incidents") return found({ incidents: none ? [] : incidents.filter(({ state }) => !params.has("state") || params.get("state").split(",").includes(state)).slice(0, Number(params.get("limit") ?? 100)).map(shown) });
  if (what === "incidents") {
    const one = incidents.find((incident) => incident.id === id);
    if (one === undefined) return missing(`incident "${id}"`);
    return act === undefined ? found({ ...shown(one), timeline: one.timeline }) : acting(one, act, given());
  }
  if (what === "oncall") return callingOn(parts.slice(1), method, params, given);
  if (path === "escalation-policies") {
    return found({ policies: [
      { name: "default", levels: [{ delay_seconds: 900, targets: ["route"], channels: [] }, { delay_seconds: 900, targets: ["root"], channels: [] }], repeat: 0, then: "stop", ack_timeout_seconds: null },
      { name: "payments", levels: [{ delay_seconds: 300, targets: ["schedule:payments"], channels: [] }, { delay_seconds: 900, targets: ["user:ann", "receiver:managers"], channels: ["sms"] }, { delay_seconds: 900, targets: ["receiver:everyone"], channels: [] }], repeat: 1, then: "last", ack_timeout_seconds: 7200 },
    ] });
  }
  if (path === "maintenance" && method === "GET") return found({ maintenance });
  if (path === "maintenance") {
    const made = { id: `m-${maintenance.length + 1}`, created_by: "ann", active: false, next_start: given().start, ...given() };
    maintenance.push(made);
    return found(made, 201);
  }
  if (what === "maintenance") {
    maintenance = maintenance.filter((one) => one.id !== id);
    return found({});
  }
  if (path === "receivers") {
    const health = (more = {}) => ({ queue: 0, breaker: "closed", last_sent_at: iso(STARTED - 6 * MINUTE), last_error: null, ...more });
    return found({ receivers: [
      { name: "web-team", channels: [{ kind: "webhook", target: "https://hooks.example/…" }, { kind: "email", target: "web@example.org" }], health: health({ queue: 1, last_error: "mail.example:587: connection refused" }) },
      { name: "db-team", channels: [{ kind: "slack", target: "#db" }], health: health() },
      { name: "managers", channels: [{ kind: "sms", target: "+49…17" }], health: health({ breaker: "open", last_error: "HTTP 401: authenticate" }) },
      { name: "dashboard", channels: [], health: health({ last_sent_at: null }) },
    ] });
  }
  if (what === "receivers" && act === "test") return found({ attempts: id === "managers" ? [{ channel: "sms", ok: false, status: 401, error: "authenticate", took_ms: 212 }] : id === "dashboard" ? [] : [{ channel: "webhook", ok: true, status: 200, error: null, took_ms: 41 }] });
  if (what === "receivers" && act === "preview") return found({ receiver: id, channels: [{ kind: "email", target: "web@example.org", words: { subject: `[FIRING:1] CheckoutSlow (${id})`, text: "CheckoutSlow at web-1:8080 for too long" } }] });
  if (path === "deliveries") return found({ deliveries: deliveries.filter((one) => ["receiver", "state"].every((name) => !params.has(name) || one[name] === params.get(name)) && (!params.has("incident") || one.incident_id === params.get("incident"))) });
  if (what === "deliveries" && act === "retry") {
    const one = deliveries.find((delivery) => delivery.id === id);
    if (one !== undefined) one.state = "queued";
    return found({});
  }
  return null;
}

const ACTOR = "ann";
function acting(one, act, { message = "", assignee = "" }) {
  const said = (text) => (message === "" ? text : message);
  switch (act) {
    case "ack":
    case "takeover":
      if (one.state === "resolved") return found({ status: 409, detail: "the incident is resolved" }, 409);
      one.state = "acknowledged";
      one.acknowledged_at ??= iso(now());
      one.tta_seconds ??= (now() - Date.parse(one.opened_at)) / 1000;
      one.ack = { alert_id: membersOf(one)[0].id, acknowledged_by: ACTOR, ack_message: message, auto_ack: false, timestamp: iso(now()) };
      one.next_escalation_at = null;
      note(one, act === "ack" ? "acknowledged" : "taken_over", ACTOR, said(act === "ack" ? "Acknowledged" : "Taken over"));
      break;
    case "unack":
      Object.assign(one, { state: "open", ack: null, next_escalation_at: iso(now() + 15 * MINUTE) });
      note(one, "unacknowledged", ACTOR, said("Given back"));
      break;
    case "assign":
      one.assignee = assignee;
      note(one, "assigned", ACTOR, `Assigned to ${assignee}`);
      break;
    case "escalate":
      one.level = (one.level ?? 1) + 1;
      note(one, "escalated", ACTOR, `Escalated to level ${one.level}`, now(), { level: one.level, escalated_to: ["receiver:managers"] });
      break;
    case "resolve":
      Object.assign(one, { state: "resolved", resolved_at: iso(now()), ttr_seconds: (now() - Date.parse(one.opened_at)) / 1000 });
      note(one, "resolved", ACTOR, said("Resolved"));
      break;
    case "comment":
      note(one, "commented", ACTOR, message);
      break;
    default:
      return missing(act);
  }
  return found(shown(one));
}

function silencing(what, id, method, given) {
  if (what === "silences" && method === "GET") return found(silences);
  if (what === "silences") {
    const { id: old, ...rest } = given();
    if (!(rest.comment ?? "")) return found("comment missing", 400);
    const state = Date.parse(rest.startsAt) > now() + 1000 ? "pending" : "active";
    const made = { ...rest, id: old ?? `5a1c-${silences.length + 1}`, updatedAt: iso(now()), status: { state } };
    silences = [...silences.filter((one) => one.id !== old), made];
    return found({ silenceID: made.id });
  }
  const one = silences.find((silence) => silence.id === id);
  if (one === undefined) return found("silence not found", 404);
  if (method === "DELETE") Object.assign(one, { endsAt: iso(now()), status: { state: "expired" } });
  return found(method === "DELETE" ? {} : one);
}

function ruling([id, more], method, given) {
  if (id === undefined && method === "GET") return found({ rules });
  const faulty = (rule) => (/\($/.test(rule.expr ?? "") || ((rule.expr ?? "").match(/\(/g) ?? []).length !== ((rule.expr ?? "").match(/\)/g) ?? []).length ? "line 2, expr: 1:5: unclosed left parenthesis" : rule.alert ? null : "line 1: a rule needs alert");
  const whole = (rule, old) => ({ ...rules[1], group: "own", id: `own/${rule.alert}`, active: 0, fired_24h: 0, flapping: false, version: 1, kind: rule.kind ?? "threshold", name: rule.alert, severity: rule.labels?.severity ?? "warning", expr: rule.expr ?? "", for: rule.for ?? "0s", labels: rule.labels ?? {}, annotations: rule.annotations ?? {}, escalation: rule.escalation ?? null, runbook_url: rule.runbook_url ?? null, params: {}, file: null, editable: true, ...old, enabled: rule.enabled ?? true });
  if (id === undefined) {
    const rule = given();
    const fault = faulty(rule);
    if (fault !== null) return wrong(fault);
    const made = whole(rule, {});
    rules.push(made);
    return found(made, 201);
  }
  if (id === "preview") {
    const { rule, start, end } = given();
    const text = typeof rule === "string" ? { alert: "x", expr: /expr:\s*(.+)/.exec(rule)?.[1] } : rule;
    const fault = faulty(text);
    if (fault !== null) return wrong(fault);
    const [from, to] = [Date.parse(start), Date.parse(end)];
    const length = (to - from) / 40;
    const firings = [0.1, 0.32, 0.36, 0.71].map((share, i) => ({ labels: { instance: `web-${(i % 2) + 1}:8080` }, start: iso(from + share * (to - from)), end: iso(from + share * (to - from) + length * (1 + (i % 3))) }));
    return found({ firings, fired: firings.length, would_page: [{ who: "web-team", times: 4 }, { who: "ann", times: 1 }], held_back: [{ by: "maintenance", id: "m1", about: "Nightly backup", firings: 1, untold: 1 }], flapping: 2, suggested: text.for === "20m" ? null : { for: "20m", threshold: null, why: "Two of four firings were over within twenty minutes." }, series: [], warnings: [] });
  }
  const one = rules.find((rule) => rule.id === id);
  if (one === undefined) return missing(`rule "${id}"`);
  if (more === "versions") return found({ versions: Array.from({ length: one.version }, (_, i) => ({ version: one.version - i, at: iso(STARTED - (i + 1) * 30 * HOUR), by: i === 0 ? "ann" : "bo", text: `alert: ${one.name}\nexpr: ${one.expr}\nfor: ${5 + i}m\n` })) });
  if (method === "DELETE") {
    rules = rules.filter((rule) => rule !== one);
    return found({});
  }
  if (method === "PUT" && more === "enabled") {
    Object.assign(one, { enabled: given().enabled, version: one.version + 1 });
    return found(one);
  }
  if (method === "PUT") {
    const rule = given();
    const fault = faulty(rule);
    if (fault !== null) return wrong(fault);
    const { expr, for: length, labels, annotations, escalation, runbook_url, enabled } = whole(rule, {});
    Object.assign(one, { expr, for: length, labels, annotations, escalation, runbook_url, enabled, severity: labels.severity ?? one.severity, version: one.version + 1 });
    return found(one);
  }
  return found(one);
}

function callingOn([schedule, more, id], method, params, given) {
  if (more === "overrides" && method === "POST") {
    const { user, start: from, end } = given();
    overrides.push({ id: `o-${overrides.length + 1}`, schedule, user, start: from, end });
    return found({}, 201);
  }
  if (more === "overrides") {
    overrides = overrides.filter((one) => one.id !== id);
    return found({});
  }
  const [from, to] = [Date.parse(params.get("start") ?? iso(now())), Date.parse(params.get("end") ?? iso(now() + 336 * HOUR))];
  const turn = (name, people, hours) => {
    const shifts = [];
    for (let at = Math.floor(from / (hours * HOUR)) * hours * HOUR; at < to; at += hours * HOUR) shifts.push({ user: people[Math.floor(at / (hours * HOUR)) % people.length], start: iso(at), end: iso(at + hours * HOUR) });
    const current = shifts.find((shift) => Date.parse(shift.start) <= now() && Date.parse(shift.end) > now());
    const mine = overrides.filter((one) => one.schedule === name);
    return { name, timezone: "Europe/Berlin", now: current === undefined ? [] : [{ user: current.user, until: current.end }], next: current === undefined ? [] : [{ user: people[(people.indexOf(current.user) + 1) % people.length], start: current.end }], layers: [], overrides: mine, shifts: [...shifts, ...mine.map(({ user, start: begins, end }) => ({ user, start: begins, end }))] };
  };
  return found({ schedules: [turn("payments", ["ann", "bo", "cho"], 84), turn("databases", ["dee", "eli"], 168)] });
}
