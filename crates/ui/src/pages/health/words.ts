/** What the statistics call things, as a person reads them: levels, words and icons. Pure. */
import type { Details, HealthCheck, State } from "../../api/health";
import type { IconName } from "../../ui/icons";
import type { Level } from "../../ui/level";
import { duration, format } from "../../units/format";

/** Scores from which something is healthy, and from which it is only degraded. */
const HEALTHY = 90;
const DEGRADED = 70;

export const STATES: readonly State[] = ["healthy", "degraded", "unhealthy", "unknown"];
const LEVEL_OF: Readonly<Record<string, Level>> = { healthy: "ok", degraded: "warning", unhealthy: "critical", warning: "warning", critical: "critical", pass: "ok", fail: "critical", timeout: "critical", available: "ok", lost: "critical" };

export const levelOf = (state: string): Level => LEVEL_OF[state] ?? "unknown";

export function stateOfScore(score: number | null): State {
  if (score === null) return "unknown";
  return score >= HEALTHY ? "healthy" : score >= DEGRADED ? "degraded" : "unhealthy";
}

export const RESULTS: Readonly<Record<HealthCheck["result"], string>> = { pass: "passed", fail: "failed", timeout: "timed out" };

interface Pattern {
  word: string;
  icon: IconName;
  level: Level;
  /** What makes it so. */
  about: string;
}

const PATTERNS: Readonly<Record<string, Pattern>> = {
  "slow-consumer": { word: "slow consumer", icon: "clock", level: "warning", about: "More than one in a hundred of its events met a full queue, or the last was a second late." },
  "error-prone": { word: "error-prone", icon: "warning", level: "critical", about: "More than one in ten of its calls failed." },
  churning: { word: "churning", icon: "turn", level: "warning", about: "It changes its subscriptions more than once in ten seconds." },
  bulk: { word: "bulk", icon: "box", level: "unknown", about: "It moves more than 64 KiB with each call or event." },
  chatty: { word: "chatty", icon: "speech", level: "unknown", about: "It calls more than ten times a second." },
  idle: { word: "idle", icon: "moon", level: "unknown", about: "It was silent for a minute." },
  ordinary: { word: "ordinary", icon: "check", level: "unknown", about: "Nothing stands out." },
};
export const PATTERN_NAMES = Object.keys(PATTERNS);

export const patternOf = (name: string): Pattern => PATTERNS[name] ?? { word: name, icon: "question", level: "unknown", about: "" };

/** What the parts of scores are. */
const PARTS: Readonly<Record<string, string>> = {
  "api-success-rate": "Calls that succeeded",
  "api-success-rate-overall": "Calls that succeeded",
  "event-delivery-reliability": "Events that were not dropped",
  "event-delivery-success-rate": "Events that were not dropped",
  "queue-health": "Queues with room",
  latency: "Latency, p95",
  "error-free": "Time without errors",
  "graceful-disconnects": "Clients that left in good order",
  error_rate: "Requests that failed",
  p95_of_objective: "p95, against the objective",
  saturation: "The fullest resource",
  queue_drops: "Events dropped",
  event_loop_lag_p95_ms: "Runtime lag, p95",
  cpu: "Processors in use",
  memory: "Memory in use",
  "worker-busy": "Workers that are busy",
  "queue-fill": "Queues, how full",
};

export const partName = (name: string): string => PARTS[name] ?? detailName(name);

/** What counts how much, where that is not plain from the name. */
const MEASURES: Readonly<Record<string, string>> = {
  latency: "full up to 500 ms, nothing from 2 s",
  "error-free": "full after 5 minutes",
};
export const partAbout = (name: string): string => MEASURES[name] ?? "";

/** Whose fault errors of a category are. */
export const CATEGORIES: Readonly<Record<string, string>> = {
  client: "the call was wrong: status 4xx",
  server: "the server was: status 5xx",
  timeout: "it took too long",
  network: "the connection failed",
  internal: "a fault inside, as a panic",
  serialization: "bytes that could not be read or written",
  conversion: "values that could not be converted",
};

/** A small share as text: what is less than a hundredth of a percent, and not nothing, is said to be so. */
export const shareText = (share: number | null | undefined): string => (typeof share === "number" && share > 0 && share < 0.0001 ? "< 0.01\u00a0%" : format(share, "ratio"));

/** `memory_usage` and `memory-usage` as words. */
export const spaced = (name: string): string => name.replace(/[-_.]+/g, " ");

/** Seconds since the epoch of an RFC 3339 time. */
export function secondsOf(time: string | null | undefined): number | null {
  const at = time === null || time === undefined ? NaN : Date.parse(time) / 1000;
  return Number.isNaN(at) ? null : at;
}

/** `3 s ago`; what is a little ahead of our clock is now. */
export function ago(time: string | null | undefined, now: number): string {
  const at = secondsOf(time);
  if (at === null) return "never";
  const seconds = Math.floor(now - at);
  return seconds < 1 ? "now" : `${duration(seconds)} ago`;
}

/** The name of a detail, without the unit that its value then has. */
export const detailName = (name: string): string => spaced(name.replace(/_(ms|bytes|seconds|percent)$/, ""));

/** What a component says of itself, apart from what all of them say. */
export interface ComponentDetails {
  message: string | null;
  /** Its checks and how each is. */
  checks: [name: string, state: string][];
  caused_by: string[];
  flapping: boolean;
  /** Since when it is as it is. */
  since: string | null;
  score: number | null;
  rest: [name: string, value: unknown][];
}

const SAID_BY_ALL = new Set(["message", "checks", "caused_by", "flapping", "since", "score", "score_parts"]);

export function readDetails(details: Details): ComponentDetails {
  const { message, checks, caused_by, flapping, since, score } = details;
  return {
    message: typeof message === "string" && message !== "" ? message : null,
    checks: typeof checks === "object" && checks !== null ? Object.entries(checks).map(([name, state]) => [name, String(state)]) : [],
    caused_by: Array.isArray(caused_by) ? caused_by.map(String) : [],
    flapping: flapping === true,
    since: typeof since === "string" ? since : null,
    score: typeof score === "number" ? score : null,
    rest: Object.entries(details).filter(([name, value]) => value !== null && !SAID_BY_ALL.has(name)),
  };
}

/** When what has to happen once in a period is due after it last did. */
export function dueText(last: string | null, period_seconds: number, now: number): string {
  const at = secondsOf(last);
  if (at === null) return "–";
  const left = Math.round(at + period_seconds - now);
  return left >= 0 ? `in ${duration(left)}` : `${duration(-left)} late`;
}

/** One detail of a part, by what its name says of its unit. */
export function detailText(name: string, value: unknown): string {
  if (typeof value === "number") {
    if (/(^|_)(ms|response_time)$/.test(name)) return format(value / 1000, "seconds");
    if (/(^|_)bytes$/.test(name)) return format(value, "bytes");
    if (/(^|_)seconds$/.test(name)) return format(value, "seconds");
    if (/(^|_)(percent|usage)$/.test(name)) return format(value, "percent");
    if (/(^|_)(ratio|share|rate|fill)$/.test(name) && value >= 0 && value <= 1) return format(value, "ratio");
    return format(value, "number");
  }
  if (typeof value === "string") return /^\d{4}-\d\d-\d\dT/.test(value) && secondsOf(value) !== null ? `${format(secondsOf(value), "time")} UTC` : value;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map((one) => detailText("", one)).join(", ");
  return Object.entries(value as Details).map(([key, one]) => `${detailName(key)} ${detailText(key, one)}`).join(", ");
}

export const detailsText = (details: Details): string => Object.entries(details).filter(([, value]) => value !== null).map(([name, value]) => `${detailName(name)}: ${detailText(name, value)}`).join(" · ");
