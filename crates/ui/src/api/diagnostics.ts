/** What the server found out about itself (`/api/barograph/v1/diagnostics`), kept or looked for on demand. Lists have the newest first. */
import type { Time, Trend, WeighedPart } from "./health";
import { call } from "./own";

export interface Finding {
  bottleneck: string;
  component: string;
  figure: string;
  value: number;
  limit: number;
  unit: string;
  evidence: string;
}

export interface Analysis {
  component: string;
  analysis_type: string;
  duration_ms: number;
  results: {
    bottlenecks: string[];
    /** One for each finding, in the same order. */
    recommendations: string[];
    performance_score: number;
    /** Scores of parts go to 100. */
    score_parts: (Omit<WeighedPart, "name" | "critical" | "score" | "value"> & { input: string; value: number; score: number })[];
    findings: Finding[];
    trends: { figure: string; direction: Trend["direction"]; slope_per_hour: number; change_percent: number | null; samples: number }[];
  };
  node: string;
  timestamp: Time;
}

export interface SystemState {
  state_data: {
    total_memory: number | null;
    used_memory: number | null;
    process_count: number;
    os_process_count: number | null;
    largest_processes: { pid: number; memory: number; name: string }[];
    memory_budget: number;
    memory_accounts: Record<string, number>;
    series: number;
    wal_pending_bytes: number;
    read_only: boolean;
    queries_running: number;
    queries_waiting: number;
    open_streams: number;
    missing: string[];
  };
  node: string;
  timestamp: Time;
}

export interface Trace {
  component: string;
  data: {
    function_calls: number;
    message_queue_length: number;
    message_queue_unit: string;
    duration_ms: number;
    stages: { stage: string; calls: number; total_ms: number; max_ms: number }[];
    requests: { timestamp: Time; method: string; route: string; status: number; took_ms: number; trace_id: string; stages: [string, number][] }[];
  };
  timestamp: Time;
}

/** A figure that was past its threshold. */
export interface MetricAlert {
  metric_name: string;
  current_value: number;
  threshold_value: number;
  threshold_type: "min" | "max";
  severity: "warning" | "critical";
  timestamp: Time;
}

export interface Incident {
  id: number;
  state: "open" | "closed";
  opened_at: Time;
  closed_at: Time | null;
  causes: { kind: string; text: string; timestamp: Time }[];
  more_causes: number;
}

const listed = <T>(path: string, signal: AbortSignal, limit: number): Promise<T> => call<T>(`diagnostics/${path}`, { signal }, { limit });
const order = <T>(path: string, params: Record<string, string | number>): Promise<T> => call<T>(`diagnostics/${path}`, { method: "POST" }, params);

/** How many of each are shown. */
const SHOWN = 20;

export const analyses = (signal: AbortSignal): Promise<{ analysis: Analysis[] }> => listed("analysis", signal, 1);
export const traces = (signal: AbortSignal): Promise<{ traces: Trace[] }> => listed("traces", signal, 1);
export const metricAlerts = (signal: AbortSignal): Promise<{ alerts: MetricAlert[] }> => listed("alerts", signal, SHOWN);
export const incidents = (signal: AbortSignal): Promise<{ incidents: Incident[] }> => call("diagnostics/incidents", { signal });
export const systemState = (signal: AbortSignal): Promise<SystemState> => call("diagnostics/state", { signal });

/** Looks for so long, and keeps what is found. */
export const analyse = (duration_ms: number): Promise<Analysis> => order("analysis", { component: "server", duration_ms });
export const trace = (duration_ms: number): Promise<unknown> => order("trace", { component: "server", duration_ms });
