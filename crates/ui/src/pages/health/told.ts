/** Documents of health as events change them. Pure: each makes a new one. */
import type { ClusterHealth, ComponentHealth, HealthCheck } from "../../api/health";
import type { ServerEvent } from "../../api/sse";
import type { Told } from "../../panels/polled.svelte";

export const componentsTold: Told<{ components: ComponentHealth[] }> = {
  bus: "health",
  topics: ["component_health"],
  take: ({ components }, event) => ({ components: replaced(components, event, (a, b) => a.component === b.component && a.node === b.node) }),
};

export const checksTold: Told<{ checks: HealthCheck[] }> = {
  bus: "health",
  topics: ["health_check"],
  take: ({ checks }, event) => ({ checks: replaced(checks, event, (a, b) => a.check_name === b.check_name && a.node === b.node) }),
};

export const clusterTold: Told<ClusterHealth> = {
  bus: "health",
  topics: ["cluster_health"],
  take: (cluster, event) => read<ClusterHealth>(event) ?? cluster,
};

/** The list with what the event tells in place of what it had of the same, or at its end. */
function replaced<T>(list: readonly T[], event: ServerEvent, is_same: (a: T, b: T) => boolean): T[] {
  const newer = read<T>(event);
  if (newer === null) return [...list];
  const at = list.findIndex((one) => is_same(one, newer));
  return at < 0 ? [...list, newer] : list.with(at, newer);
}

function read<T>({ data }: ServerEvent): T | null {
  try {
    const document: unknown = JSON.parse(data);
    return typeof document === "object" ? (document as T | null) : null;
  } catch {
    return null;
  }
}
