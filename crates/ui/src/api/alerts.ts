/** What the Alerts pages ask: alerts, incidents, rules, silences, who is on call, receivers and what was sent to them. */
import { ROOT } from "../base";
import type { Labels } from "../promql/series";
import { ApiError, send } from "./client";
import { call } from "./own";

/** RFC 3339, UTC. */
type Time = string;

export interface Ack {
  alert_id: string;
  acknowledged_by: string;
  ack_message: string;
  auto_ack: boolean;
  timestamp: Time;
}

export interface Alert {
  id: string;
  fingerprint: string;
  state: "inactive" | "pending" | "firing" | "resolved";
  labels: Labels;
  annotations: Labels;
  kind: string | null;
  severity: string;
  message: string;
  value: number | null;
  threshold: number | null;
  starts_at: Time;
  ends_at: Time | null;
  updated_at: Time | null;
  muted_by: { kind: string; id: string }[];
  ack: Ack | null;
  level: number | null;
  incident_id: string | null;
  rule: string | null;
  generator_url: string | null;
  receivers: string[];
}

export type IncidentState = "open" | "acknowledged" | "resolved";

export interface Incident {
  id: string;
  title: string;
  state: IncidentState;
  severity: string;
  opened_at: Time;
  acknowledged_at: Time | null;
  resolved_at: Time | null;
  group_key: string;
  group_labels: Labels;
  receiver: string;
  /** The key of the rule that its alerts are of. */
  rule?: string | null;
  /** Its members, as far as they are kept: there may be more. */
  alerts: Member[];
  alert_count?: number;
  ack: Ack | null;
  assignee: string | null;
  level: number | null;
  policy: string | null;
  next_escalation_at: Time | null;
  tta_seconds: number | null;
  ttr_seconds: number | null;
}

export interface Member {
  id: string;
  fingerprint: string;
  labels: Labels;
  state: Alert["state"];
  starts_at: Time;
  ends_at: Time | null;
  annotations?: Labels;
  message?: string;
  severity?: string;
}

export interface TimelineRow {
  seq: number;
  at: Time;
  kind: string;
  actor: string | null;
  text: string;
  data?: Readonly<Record<string, unknown>> | null;
}

export interface Matcher {
  name: string;
  value: string;
  isRegex: boolean;
  isEqual: boolean;
}

export interface Silence {
  id: string;
  matchers: Matcher[];
  startsAt: Time;
  endsAt: Time;
  updatedAt: Time;
  createdBy: string;
  comment: string;
  status: { state: "pending" | "active" | "expired" };
}

export interface Maintenance {
  id: string;
  name: string;
  matchers: (Matcher | string)[];
  start: Time;
  duration_seconds: number;
  recurrence: { every: "day" | "week" | "month"; weekdays?: string[]; until?: Time | null } | null;
  timezone: string;
  comment: string;
  created_by: string;
  active: boolean;
  next_start: Time | null;
}

export interface Rule {
  id: string;
  name: string;
  kind: string;
  severity: string;
  expr: string;
  for: string | number | null;
  keep_firing_for: string | number | null;
  labels: Labels;
  annotations: Labels;
  group: string;
  file: string | null;
  editable: boolean;
  version: number;
  enabled: boolean;
  state: string;
  health: string;
  last_error: string | null;
  last_evaluation: Time | null;
  evaluation_ms: number | null;
  active: number;
  fired_24h: number;
  flapping: boolean;
  /** Whether it fires so often, and for so short, that nobody will mind it; and what would help. */
  noisy?: boolean;
  noisy_why?: string | null;
  threshold?: number | null;
  /** As it was written, or would be. */
  text?: string;
  mtta: number | null;
  mttr: number | null;
  escalation: string | null;
  runbook_url: string | null;
  params: Record<string, unknown>;
}

export interface RuleVersion {
  version: number;
  at: Time;
  by: string;
  what?: string;
  text?: string;
  rule?: unknown;
}

/** What kept firings from being told; `untold` is of how many nobody was told at all. */
export interface HeldBack {
  by: "silence" | "maintenance" | "inhibition" | "interval";
  id: string;
  about: string;
  firings: number;
  untold: number;
}

export interface Proof {
  firings: { labels: Labels; start: Time; end: Time | null }[];
  fired: number;
  would_page: { who: string; times: number }[];
  /** The most first. */
  held_back: HeldBack[];
  flapping: number | boolean;
  suggested: { for: string | number | null; threshold: number | null; keep_firing_for?: string | null; why: string } | null;
  warnings: string[];
}

export interface Shift {
  user: string;
  start: Time;
  end: Time;
}

export interface Schedule {
  name: string;
  timezone: string;
  now: { user: string; until: Time | null }[];
  next: { user: string; from?: Time; start?: Time }[];
  overrides: { id: string; user: string; start: Time; end: Time }[];
  shifts: Shift[];
}

export interface Policy {
  name: string;
  levels: { delay_seconds: number; targets: string[]; channels?: string[] }[];
  repeat: number;
  then: string;
  ack_timeout_seconds?: number | null;
}

export interface Receiver {
  name: string;
  channels: { kind: string; target: string }[];
  health: { queue: number; breaker: string; last_sent_at: Time | null; last_error: string | null };
}

export interface Attempt {
  at?: Time;
  channel?: string;
  ok: boolean;
  status: number | null;
  error: string | null;
  took_ms: number;
}

export interface Delivery {
  id: string;
  receiver: string;
  channel: string;
  incident_id: string | null;
  reason: string;
  level: number | null;
  state: "queued" | "sent" | "retrying" | "dead" | "coalesced";
  queued_at: Time;
  sent_at: Time | null;
  next_at: Time | null;
  /** Why it was given up. */
  error?: string | null;
  attempts: Attempt[];
}

/** Incidents of an answer at most. */
export const INCIDENTS_MAX = 1000;

const json = (method: string, body: unknown): RequestInit => ({ method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
const at = encodeURIComponent;

/** Those that fit; an empty parameter is no condition. */
export async function alerts(asked: { state?: string; filter?: readonly string[]; receiver?: string }, signal: AbortSignal): Promise<Alert[]> {
  return (await call<{ alerts: Alert[] }>("alerts", { signal }, given({ ...asked }))).alerts;
}

/** Those of any of these states, or, without one, of all; the newest first. */
export async function incidents(states: readonly IncidentState[], limit: number, signal: AbortSignal): Promise<Incident[]> {
  return (await call<{ incidents: Incident[] }>("incidents", { signal }, given({ state: states.join(), limit: String(limit) }))).incidents;
}

export const incident = (id: string, signal: AbortSignal): Promise<Incident & { timeline: TimelineRow[] }> => call(`incidents/${at(id)}`, { signal });

export type IncidentAct = "ack" | "unack" | "takeover" | "comment" | "assign" | "escalate" | "resolve";
export const actOn = (id: string, act: IncidentAct, body: { message?: string; assignee?: string }): Promise<unknown> => call(`incidents/${at(id)}/${act}`, json("POST", body));
export const ackAlert = (id: string, message: string): Promise<unknown> => call(`alerts/${at(id)}/ack`, json("POST", { message }));
export const commentAlert = (id: string, message: string): Promise<unknown> => call(`alerts/${at(id)}/comment`, json("POST", { message }));

export const rules = async (signal: AbortSignal): Promise<Rule[]> => (await call<{ rules: Rule[] }>("alerts/rules", { signal })).rules;
export const rule = (id: string, signal: AbortSignal): Promise<Rule> => call(`alerts/rules/${at(id)}`, { signal });
export const versionsOf = async (id: string, signal: AbortSignal): Promise<RuleVersion[]> => (await call<{ versions: RuleVersion[] }>(`alerts/rules/${at(id)}/versions`, { signal })).versions;
/** A rule as its fields, or as YAML text. */
export type RuleText = Record<string, unknown> | string;
const ruleBody = (method: string, given: RuleText): RequestInit => (typeof given === "string" ? { method, headers: { "content-type": "application/yaml" }, body: given } : json(method, given));
export const addRule = (given: RuleText): Promise<Rule> => call("alerts/rules", ruleBody("POST", given));
export const changeRule = (id: string, given: RuleText): Promise<Rule> => call(`alerts/rules/${at(id)}`, ruleBody("PUT", given));
export const enableRule = (id: string, enabled: boolean): Promise<Rule> => call(`alerts/rules/${at(id)}/enabled`, json("PUT", { enabled }));
export const removeRule = (id: string): Promise<unknown> => call(`alerts/rules/${at(id)}`, { method: "DELETE" });
export const prove = (rule: RuleText, start: Time, end: Time, signal: AbortSignal): Promise<Proof> => call("alerts/rules/preview", { ...json("POST", { rule, start, end }), signal });

export const silences = (signal: AbortSignal): Promise<Silence[]> => v2("silences", { signal });
export const silence = (given: { id?: string; matchers: Matcher[]; startsAt: Time; endsAt: Time; createdBy: string; comment: string }): Promise<{ silenceID: string }> => v2("silences", json("POST", given));
export const expire = (id: string): Promise<unknown> => v2(`silence/${at(id)}`, { method: "DELETE" });
export const maintenance = async (signal: AbortSignal): Promise<Maintenance[]> => (await call<{ maintenance: Maintenance[] }>("maintenance", { signal })).maintenance;
export const addMaintenance = (given: Pick<Maintenance, "name" | "matchers" | "start" | "duration_seconds" | "recurrence" | "timezone" | "comment" | "created_by">): Promise<unknown> => call("maintenance", json("POST", given));
export const removeMaintenance = (id: string): Promise<unknown> => call(`maintenance/${at(id)}`, { method: "DELETE" });

export const onCall = async (start: Time, end: Time, signal: AbortSignal): Promise<Schedule[]> => (await call<{ schedules: Schedule[] }>("oncall", { signal }, { start, end })).schedules;
export const policies = async (signal: AbortSignal): Promise<Policy[]> => (await call<{ policies: Policy[] }>("escalation-policies", { signal })).policies;
export const addOverride = (schedule: string, given: Shift): Promise<unknown> => call(`oncall/${at(schedule)}/overrides`, json("POST", given));
export const removeOverride = (schedule: string, id: string): Promise<unknown> => call(`oncall/${at(schedule)}/overrides/${at(id)}`, { method: "DELETE" });

export const receivers = async (signal: AbortSignal): Promise<Receiver[]> => (await call<{ receivers: Receiver[] }>("receivers", { signal })).receivers;
export const testReceiver = async (name: string): Promise<Attempt[]> => (await call<{ attempts: Attempt[] }>(`receivers/${at(name)}/test`, json("POST", {}))).attempts;
/** What each channel would be sent: a text, a mail, or the body of a request. */
export interface Preview {
  channels: { kind: string; target: string; words?: unknown; error?: string }[];
}
export const previewOf = (name: string): Promise<Preview> => call(`receivers/${at(name)}/preview`, json("POST", {}));
export async function deliveries(asked: { receiver?: string; state?: string; incident?: string }, limit: number, signal: AbortSignal): Promise<Delivery[]> {
  return (await call<{ deliveries: Delivery[] }>("deliveries", { signal }, given({ ...asked, limit: String(limit) }))).deliveries;
}
export const retry = (id: string): Promise<unknown> => call(`deliveries/${at(id)}/retry`, { method: "POST" });

function given(asked: Record<string, string | readonly string[] | undefined>): Record<string, string | readonly string[]> {
  return Object.fromEntries(Object.entries(asked).filter((entry): entry is [string, string | readonly string[]] => entry[1] !== undefined && entry[1].length > 0));
}

/** Alertmanager's API: an error is a text, or JSON that holds one. */
async function v2<T>(path: string, init: RequestInit): Promise<T> {
  const response = await send(new URL(`api/v2/${path}`, ROOT), init);
  const text = await response.text();
  let document: unknown = text;
  try {
    if (text !== "") document = JSON.parse(text);
  } catch {
    // A text is its own meaning.
  }
  if (response.ok) return document as T;
  const words = typeof document === "string" ? document : ((document as { message?: string; detail?: string; error?: string } | null)?.detail ?? (document as { message?: string } | null)?.message ?? (document as { error?: string } | null)?.error);
  throw new ApiError(response.status < 500 ? "refused" : "failed", words === undefined || words === "" ? `the server answered ${response.status}` : words, null, response.status);
}
