/** What the Admin pages ask of our own API. */
import type { PlanNode } from "./explore";
import { call } from "./own";

/** Unix seconds. */
type Time = number;

export interface Level {
  level: string;
  granularity_seconds: number | null;
  retention_seconds: number | null;
  files: number;
  bytes: number;
  points: number;
  bytes_per_point: number | null;
  oldest: Time | null;
  newest: Time | null;
}

export type Forecast =
  | { state: "unknown"; history_seconds: number; needed_seconds: number }
  | { state: "never"; history_seconds: number; growth_bytes_per_day: number }
  | { state: "full_at"; history_seconds: number; growth_bytes_per_day: number; full_at: Time };

export interface StorageStats {
  time: Time;
  totalSize: number;
  levels: Level[];
  compression_ratio: number | null;
  memory: { series: number; points: number; bytes: number };
  wal: { bytes: number; segments: number; pending_bytes: number; failures: number; read_only: boolean };
  compactions: { blocks_cut: number; blocks_merged: number; blocks_deleted: number };
  damage: { set_aside: number; blocks_damaged: number };
  projected: { bytes: number | null; levels: Record<string, number | null> };
  disk: { total_bytes: number; free_bytes: number; forecast: Forecast } | null;
}

export interface Backup {
  id: number;
  time: Time;
  files: number;
  bytes: number;
}

export interface Backups {
  backups: Backup[];
  unreadable: { path: string; reason: string }[];
}

export interface Cardinality {
  series: { active: number; limit: number; room: number; created_last_hour: number; created_since_start: number };
  limits: { series: number; series_per_metric: number; values_per_label: number };
  metrics: { metric: string; series: number; share: number; limit: number; created_last_hour: number; labels: { label: string; values: number }[] }[];
  growth: { metric: string; created_last_hour: number; created_since_start: number; series: number }[];
  labels: { label: string; values: number; value_bytes: number }[];
  metric_labels: { metric: string; label: string; values: number; limit: number }[];
  pairs: { label: string; value: string; series: number }[];
  overflow: {
    samples: number;
    merged: number;
    refused: number;
    offenders: { metric: string; label: string; limit: string; samples: number; example: string; first: Time; last: Time }[];
  };
}

interface AskedQuery {
  id: number;
  expression: string;
  caller: string;
  dashboard: string | null;
  panel: string | null;
}

export interface RunningQuery extends AskedQuery {
  since_ms: number;
  samples: number;
  state: "waiting" | "running" | "stopping";
}

export interface SlowQuery extends AskedQuery {
  /** When it was asked, and the range and step it was about: milliseconds. */
  at: number;
  start: number | null;
  end: number | null;
  step: number | null;
  took_ms: number;
  samples: number;
  tier: string | null;
  /** `ok`, or why there was no answer. */
  outcome: string;
  plan: PlanNode | null;
}

export interface Queries {
  running: RunningQuery[];
  slow: SlowQuery[];
}

export interface AdmissionClass {
  class: string;
  /** `null`: never refused. */
  limit: number | null;
  in_flight: number;
  waiting: number;
  admitted: number;
  refused: number;
}

export interface Admission {
  classes: AdmissionClass[];
  in_flight: number;
  /** So many at work, of all classes, before lower ones are refused. */
  total: number;
}

export const admission = (signal: AbortSignal): Promise<Admission> => call("admission", { signal });
export const storageStats = (signal: AbortSignal): Promise<StorageStats> => call("storage/stats", { signal });
export const listBackups = (signal: AbortSignal): Promise<Backups> => call("backup", { signal });
export const backUp = (): Promise<Backup & { copied_bytes: number }> => call("backup", { method: "POST" });
export const cardinality = (limit: number, signal: AbortSignal): Promise<Cardinality> => call("cardinality", { signal }, { limit });
export const queries = (signal: AbortSignal): Promise<Queries> => call("queries", { signal });
export const stopQuery = (id: number): Promise<unknown> => call(`queries/${id}`, { method: "DELETE" });
