/** What alerts and all around them are called, and how bad they are. Pure. */
import type { Alert, HeldBack, Incident, Matcher, Member, Preview } from "../../api/alerts";
import { quote, type Labels } from "../../promql/series";
import { parseDuration } from "../../time/range";
import type { IconName } from "../../ui/icons";
import type { Level } from "../../ui/level";
import { rankOf } from "../../ui/severity";
import { duration } from "../../units/format";
import { secondsOf } from "../health/words";

const STATES: Readonly<Record<string, Level>> = {
  open: "critical", firing: "critical", acknowledged: "warning", pending: "warning", resolved: "ok", inactive: "ok",
  active: "warning", expired: "unknown", sent: "ok", queued: "unknown", retrying: "warning", dead: "critical", coalesced: "unknown",
  ok: "ok", err: "critical", error: "critical", unknown: "unknown", closed: "ok", half_open: "warning", "half-open": "warning",
};
/** What is neither good nor bad has an icon of its own. */
const ICONS: Readonly<Record<string, IconName>> = { expired: "check", queued: "clock", coalesced: "list", pending: "clock", planned: "clock", off: "pause" };
export const stateIcon = (state: string): { icon?: IconName } => (ICONS[state] === undefined ? {} : { icon: ICONS[state] });

export const stateLevel = (state: string): Level => STATES[state] ?? "unknown";

/** The name of an alert among those of its group. */
export const alertName = ({ labels }: Pick<Alert, "labels">): string => labels.alertname ?? "an alert";

/** As much of an alert as its incident keeps of it. */
export function alertOf(member: Member, { severity, id }: Pick<Incident, "severity" | "id">): Alert {
  return {
    annotations: {}, kind: null, message: "", value: null, threshold: null, updated_at: null, muted_by: [], ack: null, level: null, rule: null, generator_url: null, receivers: [],
    severity: member.labels.severity ?? severity, ...member, incident_id: id,
  };
}

/** What tells an alert from its neighbours: its labels without those that all of a group have. */
export function labelsText(labels: Labels, without: Labels = {}): string {
  return Object.entries(labels)
    .filter(([name, value]) => name !== "alertname" && name !== "severity" && without[name] !== value)
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(" ");
}

/** What all of these label sets have. */
export function sharedOf(sets: readonly Labels[]): Labels {
  const [first, ...rest] = sets;
  return Object.fromEntries(Object.entries(first ?? {}).filter(([name, value]) => rest.every((labels) => labels[name] === value)));
}

/** What an incident is about, in the words of its worst alert, and of how many others that say something else. */
export function saidBy(alerts: readonly Alert[]): { text: string; others: number } {
  const firing = alerts.filter(({ state }) => state === "firing");
  const told = [...(firing.length > 0 ? firing : alerts)]
    .sort((a, b) => rankOf(a.severity) - rankOf(b.severity))
    .map(({ message, annotations }) => message || (annotations.summary ?? annotations.description ?? ""))
    .filter((text) => text !== "");
  return { text: told[0] ?? "", others: new Set(told).size - Math.min(1, told.length) };
}

const REASONS: Readonly<Record<string, string>> = { group: "firing", acknowledged: "acknowledgment" };
const textsOf = (given: unknown): string[] => (Array.isArray(given) ? given.filter((one): one is string => typeof one === "string") : []);

/** Whom an escalation asked, and why not whom it should have. */
export function askedText(data: Readonly<Record<string, unknown>> | null | undefined): string {
  const people = textsOf(data?.escalated_to).map((target) => target.replace(/^(?:user|receiver):/, ""));
  if (data === null || data === undefined || people.length === 0) return "";
  const vacant = textsOf(data.nobody_on_call).map((name) => `, as nobody is on call by ${name}`);
  const unreachable = textsOf(data.without_receiver).map((name) => `, as ${name} has no receiver`);
  return `Level ${String(data.level)}: ${people.join(", ")}${[...vacant, ...unreachable].join("")}`;
}

/** Why a notice was sent. */
export const reasonText = (reason: string): string => REASONS[reason] ?? reason;

/** What answered: `HTTP 200`, of mails `SMTP 250`. */
export const statusText = (channel: string, status: number | null): string => (status === null ? "" : `${channel === "email" ? "SMTP" : "HTTP"} ${status}`);

/** `3 m`: how long something has been. */
export function since(time: string | null, now: number): string {
  const at = secondsOf(time);
  return at === null ? "–" : duration(Math.max(0, Math.floor(now - at)));
}

/** `in 4 m`, `now`: when something is due. */
export function until(time: string | null, now: number): string {
  const at = secondsOf(time);
  if (at === null) return "";
  const left = Math.round(at - now);
  return left <= 0 ? "now" : `in ${duration(left)}`;
}

/** Who has an incident, as a sentence's start. */
export function holder({ state, ack, assignee }: Pick<Incident, "state" | "ack" | "assignee">): string {
  if (state === "resolved") return "resolved";
  if (ack !== null) return `${ack.auto_ack ? "acknowledged by itself, " : ""}${ack.acknowledged_by} has it`;
  return assignee === null ? "nobody has it" : `assigned to ${assignee}`;
}

/** A duration as rules write them: text as it is, a number is seconds. */
export function durationText(given: string | number | null | undefined): string {
  if (given === null || given === undefined || given === "" || given === 0 || given === "0s") return "";
  if (typeof given === "string") return given;
  return duration(given).replaceAll("\u00a0", "").replaceAll(" ", "");
}

export const matcherText = ({ name, value, isRegex, isEqual }: Matcher): string => `${name}${isEqual ? (isRegex ? "=~" : "=") : isRegex ? "!~" : "!="}${quote(value)}`;

/** Either form in which the server gives one. */
export const matcherOf = (given: Matcher | string): Matcher | null => (typeof given === "string" ? readMatcher(given) : given);

/** `name="value"`, with or without quotes; `null` for what is none. */
export function readMatcher(text: string): Matcher | null {
  const found = /^\s*("(?:[^"\\]|\\.)+"|[^\s"=!~{},]+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^"]*?)\s*$/.exec(text);
  if (found === null) return null;
  const [, name = "", operator = "=", value = ""] = found;
  return { name: unquoted(name), value: unquoted(value), isRegex: operator.endsWith("~"), isEqual: operator.startsWith("=") };
}

/** Matchers between commas, braces around them or not; `null` where one cannot be read. */
export function readMatchers(text: string): Matcher[] | null {
  const parts = text.trim().replace(/^\{|\}$/g, "").match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? [];
  const read = parts.filter((part) => part.trim() !== "").map(readMatcher);
  return read.every((one) => one !== null) ? read : null;
}

function unquoted(text: string): string {
  if (!text.startsWith('"')) return text;
  return text.slice(1, -1).replace(/\\(.)/g, (_, one: string) => (one === "n" ? "\n" : one));
}

/** Matchers that are met by all of these label sets, and by as little else as can be: the pairs that they share. */
export function matchersFor(sets: readonly Labels[]): Matcher[] {
  return Object.entries(sharedOf(sets)).map(([name, value]) => ({ name, value, isRegex: false, isEqual: true }));
}

/** Whether every alert there is meets these matchers. */
export const meetAll = (matchers: readonly Matcher[]): boolean => matchers.every(({ value, isRegex, isEqual }) => (isRegex && isEqual && value === ".*") || (value === "" && isEqual));

/** What each channel would be sent, one below the other: a mail as a mail, all else as it is. */
export function previewText({ channels }: Preview): string {
  const wordsOf = (words: unknown): string => {
    if (typeof words === "string") return words;
    const { subject, text } = (words ?? {}) as { subject?: unknown; text?: unknown };
    return typeof subject === "string" && typeof text === "string" ? `${subject}\n\n${text}` : JSON.stringify(words ?? null, null, 2);
  };
  if (channels.length === 0) return "It has no channel: what it gets is shown on these pages.";
  return channels.map(({ kind, target, words, error }) => `${kind} ${target}\n\n${error ?? wordsOf(words)}`).join("\n\n\n");
}

const HOLDERS: Readonly<Record<HeldBack["by"], string>> = { silence: "A silence", maintenance: "Maintenance", inhibition: "Another alert", interval: "The time interval" };

/** What held how many firings back: whether anybody was told of them at all. */
export function heldText({ by, id, about, firings, untold }: HeldBack): string {
  const counted = `${firings} firing${firings === 1 ? "" : "s"}`;
  const rest = untold === 0 ? "somebody was told of each all the same" : untold === firings ? "nobody was told" : `nobody was told of ${untold} of them`;
  return `${HOLDERS[by]} (${about || id}) held back ${counted}; ${rest}.`;
}

/** The durations of a silence, one click away. */
export const PRESETS: readonly { title: string; seconds: number }[] = [
  { title: "1 h", seconds: 3600 },
  { title: "4 h", seconds: 4 * 3600 },
  { title: "1 d", seconds: 86_400 },
  { title: "1 w", seconds: 7 * 86_400 },
];

/** What a person typed as a length of time, in seconds. */
export function typedDuration(text: string): number | null {
  const seconds = parseDuration(text);
  return seconds === null || seconds <= 0 ? null : seconds;
}

/** An expression in two: what is watched, and the number that it is held against. */
export interface Condition {
  watched: string;
  operator: string;
  threshold: number;
}

/** `null` of an expression that does not end in a comparison with a number. */
export function conditionOf(expr: string): Condition | null {
  const found = /^(.+?)(>=|<=|==|!=|>|<)\s*(?:bool\s+)?([+-]?(?:\d[\d_]*\.?\d*(?:e[+-]?\d+)?|\.\d+))\s*$/is.exec(expr.trim());
  if (found === null) return null;
  const [, watched = "", operator = "", number = ""] = found;
  return isWhole(watched) ? { watched: watched.trim(), operator, threshold: Number(number.replaceAll("_", "")) } : null;
}

/** Whether brackets and quotes close, and nothing binds looser than a comparison. */
function isWhole(text: string): boolean {
  let depth = 0;
  let bare = "";
  let quoted = "";
  for (let i = 0; i < text.length; i += 1) {
    const one = text[i] ?? "";
    if (quoted !== "") {
      if (one === "\\" && quoted !== "`") i += 1;
      else if (one === quoted) quoted = "";
    } else if ("\"'`".includes(one)) quoted = one;
    else if ("([{".includes(one)) depth += 1;
    else if (")]}".includes(one)) depth -= 1;
    else if (depth === 0) bare += one;
    if (depth < 0) return false;
  }
  return depth === 0 && quoted === "" && !/\b(?:and|or|unless)\b|[<>]|[=!]=/i.test(bare);
}
