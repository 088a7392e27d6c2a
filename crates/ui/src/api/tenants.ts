/** Tenants: what each may have, has, and was refused. */
import { call } from "./own";

export interface Tenant {
  name: string;
  default: boolean;
  /** `null` is no limit. */
  limits: { series: number | null; samples_per_second: number | null; queries: number | null };
  use: { series: number; queries: number; samples: number; queries_asked: number };
  refused: { samples_per_second: number; queries: number; share: number; labels: number };
}

export const tenants = (signal: AbortSignal): Promise<{ enabled: boolean; tenants: Tenant[] }> => call("tenants", { signal });

/** How much is used of what may be. */
export const used = (use: string, limit: string | null): string => (limit === null ? use : `${use} of ${limit}`);

/** Whether new series are stored as overflow only: a hundredth of the limit, at least one, is kept for that. */
export function full({ limits: { series: limit }, use }: Pick<Tenant, "limits" | "use">): boolean {
  return limit !== null && limit > 0 && use.series >= limit - Math.max(1, Math.floor(limit / 100));
}

/** All that was refused, each by its limit. */
export function refusals({ refused }: Tenant): { limit: string; count: number }[] {
  const told = { "samples a second": refused.samples_per_second, queries: refused.queries, share: refused.share, labels: refused.labels };
  return Object.entries(told)
    .filter(([, count]) => count > 0)
    .map(([limit, count]) => ({ limit, count }));
}
