/**
 * What the Health pages ask: who calls this server and how they fare (`/health/…`), and which of its parts are ill
 * (`/api/barograph/v1/health/…`). Times are RFC 3339, shares go from 0 to 1, scores to 100; what was not measured is null.
 */
import { ROOT } from "../base";
import type { Params } from "./client";
import { call, callAt } from "./own";

export type Time = string;
/** Fields by name, as the server lists them. */
export type Fields = Record<string, number | string | null>;

/** What a score is made of, by name; an unknown part counts as 1. */
export type Parts = Record<string, { value: number | null; weight: number }>;

/** How one figure went over hours or days. */
export interface Trend {
  direction: "improving" | "stable" | "degrading";
  "slope-per-hour": number;
  "change-percent": number | null;
  samples: number;
}
/** Of each `null` while it is not known. */
export type Trends = Record<"p95-latency" | "throughput" | "error-rate", Trend | null>;

export interface Summary {
  "uptime-hours": number;
  "clients-connected": number;
  "clients-peak": number;
  "api-calls-total": number;
  "api-success-rate": number | null;
  "events-sent": number;
  "bytes-transferred-gb": number;
}

export interface ServerDocument {
  server: Summary & {
    raw: Fields;
    derived: {
      "server-health-score": number;
      "system-load-score": number;
      "performance-trend-24h": Trends | null;
      "collaborative-effectiveness": number | null;
      "subscription-churn-rate-per-hour": number | null;
      "collaborative-sessions-active": number;
      "pieces-with-multiple-subscribers": number;
      "memory-usage-current-bytes": number | null;
      "memory-usage-peak-bytes": number | null;
      "thread-pool-active-count": number | null;
      "thread-pool-usage-peak": number | null;
      "thread-pool-queue-size": number | null;
      "queue-memory-usage-total-bytes": number;
    };
    "score-parts": Record<"server-health-score" | "system-load-score", Parts>;
    "limits-hit": Record<string, number>;
  };
}

/** A client as one of many. */
export interface ClientLine {
  "client-id": string;
  "connected-duration-hours": number;
  "api-calls": number;
  "events-received": number;
  "queue-health": "healthy" | "warning" | "critical";
  state: "connected" | "disconnected";
  "client-health-score": number;
  pattern: string;
  cost: number;
}

export interface ClientList {
  server: Summary;
  clients: ClientLine[];
  total: number;
}

export interface ClientDocument extends ClientLine {
  "disconnected-at"?: Time | null;
  cause?: string;
  "event-queue": { capacity: number; policy: string; "bytes-waiting": number };
  "piece-subscriptions": string[];
  raw: Fields;
  derived: {
    "api-success-rate": number | null;
    "response-time-range-ms": number | null;
    "event-delivery-reliability": number | null;
    "queue-health-score": number;
    "performance-trend-7d": Trends | null;
    "api-call-frequency-hz": number | null;
    "event-consumption-rate-hz": number | null;
    "active-subscription-count": number;
    "api-method-usage-map": Record<string, number>;
    "session-pieces-accessed": string[];
  };
  "score-parts": { "client-health-score": Parts };
  captured: Record<string, number>;
}

/** How long calls took in the last minutes, in milliseconds, and how many there were in a second. */
export interface Times {
  "fastest-ms": number | null;
  "slowest-ms": number;
  "avg-ms": number | null;
  "p50-ms": number | null;
  "p90-ms": number | null;
  "p95-ms": number | null;
  "p99-ms": number | null;
  "calls-per-second": number | null;
}

export interface Method extends Times {
  calls: number;
  success: number;
  failure: number;
  "success-rate": number | null;
  "bytes-requests": number;
  "bytes-responses": number;
}

export interface Transaction {
  started: number;
  committed: number;
  retries: number;
  aborted: number;
  "avg-ms": number | null;
  "retries-per-commit": number | null;
}

export interface Performance {
  api: Times & {
    "calls-total": number;
    "success-rate": number | null;
    "calls-per-hour": number | null;
    "peak-calls-per-minute": number;
    "concurrent-current": number;
    "concurrent-peak": number;
  };
  events: {
    pipeline: Record<"published" | "queued" | "attempted" | "delivered" | "dropped", number>;
    "delivery-success-rate": number | null;
    "lag-max-ms": number | null;
    overflows: number;
    queues: { healthy: number; warning: number; critical: number; fill: number };
    pieces: { piece: string; subscribers: number; events: number }[];
  };
  methods: Record<string, Method>;
  transactions: Record<string, Transaction>;
  serialization: { errors: number };
  streams: { open: number; "failed-writes": number };
}

export interface RecentError {
  time: Time;
  category: string;
  method: string | null;
  "client-id": string;
  message: string;
  "trace-id": string | null;
}

export interface Errors {
  "last-error-time": Time | null;
  "error-free-duration-ms": number;
  "longest-error-free-period-ms": number;
  /** `error-rate`, and `CATEGORY-error-rate` of each category: shares of all calls. */
  rates: Record<string, number>;
  categories: Record<string, number>;
  "grpc-status": Record<string, number>;
  "http-status": Record<string, number>;
  groups?: { category: string; method: string; count: number }[];
  recent: RecentError[];
}

export interface Resources {
  "memory-usage-current-bytes": number | null;
  "memory-usage-peak-bytes": number | null;
  "thread-pool-active-count": number | null;
  "thread-pool-usage-peak": number | null;
  "thread-pool-queue-size": number | null;
  "queue-memory-usage-total-bytes": number;
  "system-load-score": number;
  queues: { healthy: number; warning: number; critical: number; capacity: number; fill: number };
  network: Record<string, number | null>;
  clients: { current: number; peak: number };
  "score-parts": { "system-load-score": Parts };
  "limits-hit": Record<string, number>;
}

const at = <T>(path: string, signal: AbortSignal, params: Params = {}): Promise<T> => callAt<T>(new URL(`health/${path}`, ROOT), { signal }, params);

export const serverStatistics = (signal: AbortSignal): Promise<ServerDocument> => at("server", signal);
/** All of them; with `gone` also those that are not connected any more. */
export const clients = (gone: boolean, signal: AbortSignal): Promise<ClientList> => at("clients", signal, gone ? { finished: "true" } : {});
export const client = (id: string, signal: AbortSignal): Promise<ClientDocument> => at(`clients/${encodeURIComponent(id)}`, signal);
export const performanceOf = (signal: AbortSignal): Promise<Performance> => at("performance", signal);
export const errors = (signal: AbortSignal): Promise<Errors> => at("errors", signal, { "group-by": "category,method" });
export const resources = (signal: AbortSignal): Promise<Resources> => at("resources", signal);

export type State = "healthy" | "degraded" | "unhealthy" | "unknown";
/** What a part says of itself: any map. */
export type Details = Record<string, unknown>;

export interface ComponentHealth {
  component: string;
  node: string;
  status: State;
  details: Details;
  last_check: Time | null;
  timestamp: Time;
}

export interface ClusterHealth {
  status: State;
  healthy_nodes: number;
  total_nodes: number;
  degraded_nodes: string[];
  unhealthy_nodes: string[];
  quorum_status: "available" | "lost";
  timestamp: Time;
}

export interface HealthCheck {
  check_name: string;
  node: string;
  result: "pass" | "fail" | "timeout";
  duration_ms: number;
  details: Details;
  error: string | null;
  timestamp: Time;
}

const own = <T>(path: string, signal: AbortSignal): Promise<T> => call<T>(`health/${path}`, { signal });

export const components = (signal: AbortSignal): Promise<{ components: ComponentHealth[] }> => own("components", signal);
export const checks = (signal: AbortSignal): Promise<{ checks: HealthCheck[] }> => own("checks", signal);
export const cluster = (signal: AbortSignal): Promise<ClusterHealth> => own("cluster", signal);

/** Of what there is a history: a component, or, where none is named, the cluster. */
export type Subject = { component: string } | Record<never, string>;

/** How it was before, oldest first: each change with what was told of it then. Up to `to`, Unix seconds, or now. */
export const history = (subject: Subject, to: number | null, signal: AbortSignal): Promise<{ time: Time; document: { status: State } }[]> =>
  call<{ history: { time: Time; document: { status: State } }[] }>("health/history", { signal }, { ...subject, ...(to !== null && { to }), limit: CHANGES_MAX }).then((document) => document.history);

/** Changes asked for of one subject. */
const CHANGES_MAX = 500;

/** A part of the server's score: `score` of it, from 0 to 1, follows from where the value is between good and bad. */
export interface WeighedPart {
  name: string;
  value: number | null;
  good: number;
  bad: number;
  weight: number;
  score: number | null;
  critical: boolean;
}

export interface SystemHealth {
  node: string;
  status: State;
  reason: string | null;
  score: { score: number | null; rating: State | null; coverage: number; gates: string[]; parts: WeighedPart[] };
  version: string;
  uptime_seconds: number;
}
export const system = (signal: AbortSignal): Promise<SystemHealth> => own("system", signal);

/** A job that says that it lives. */
export interface Heartbeat {
  key: string;
  name: string;
  status: State | null;
  period_seconds: number;
  grace_seconds: number;
  last_success: Time | null;
  last_failure: Time | null;
  /** Since when it has been at work, if it said when it began. */
  running_since: Time | null;
  took_ms: number | null;
  signals: number;
  /** What it said last. */
  text: string;
}
export const heartbeats = (signal: AbortSignal): Promise<{ heartbeats: Heartbeat[] }> => own("heartbeats", signal);
