/** Targets put in the order in which they are looked at: by job, what is down first. */
import type { ActiveTarget, DroppedTarget, Labels, Targets } from "../../api/targets";
import type { Level } from "../../ui/level";

/** Which targets are shown. */
export type Shown = "all" | "down" | "unknown" | "up" | "dropped";
export const SHOWN: readonly Shown[] = ["all", "down", "unknown", "up", "dropped"];

/** One job. */
export interface Pool {
  name: string;
  active: ActiveTarget[];
  dropped: DroppedTarget[];
  /** All that it has, whatever is shown. */
  up: number;
  total: number;
  /** How many were dropped; not all of them are listed. */
  dropped_count: number;
}

const RANK = { down: 0, unknown: 1, up: 2 } as const;
export const LEVEL: Readonly<Record<ActiveTarget["health"], Level>> = { up: "ok", down: "critical", unknown: "unknown" };
export const WORD: Readonly<Record<ActiveTarget["health"], string>> = { up: "Up", down: "Down", unknown: "Not scraped yet" };

export const shownOf = (text: string | null): Shown => SHOWN.find((shown) => shown === text) ?? "all";

/** The jobs that have something to show, by name. The words of the filter have to be in the address, in a label or in the error. */
export function pools(found: Targets, shown: Shown, filter: string): Pool[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (...texts: string[]): boolean => {
    const text = texts.join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  };
  const names = new Set([...Object.keys(found.droppedTargetCounts ?? {}), ...found.activeTargets.map((target) => target.scrapePool), ...found.droppedTargets.map((target) => target.scrapePool)]);
  const all = [...names].sort().map((name): Pool => {
    const mine = found.activeTargets.filter((target) => target.scrapePool === name);
    const active = mine.filter((target) => (shown === "all" || shown === target.health) && fits(name, target.scrapeUrl, target.lastError, ...pairs(target.labels), ...pairs(target.discoveredLabels)));
    const dropped = shown === "all" || shown === "dropped" ? found.droppedTargets.filter((target) => target.scrapePool === name && fits(name, target.error ?? "", ...pairs(target.discoveredLabels))) : [];
    active.sort((a, b) => RANK[a.health] - RANK[b.health] || (a.scrapeUrl < b.scrapeUrl ? -1 : 1));
    return { name, active, dropped, up: mine.filter((target) => target.health === "up").length, total: mine.length, dropped_count: found.droppedTargetCounts?.[name] ?? dropped.length };
  });
  const unfiltered = shown === "all" && words.length === 0;
  return all.filter((pool) => unfiltered || pool.active.length > 0 || pool.dropped.length > 0);
}

/** Labels as they stand in a query: `job="api"`. */
export function pairs(labels: Labels): string[] {
  return Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`);
}

/** Seconds since the epoch; `null` before the first scrape. */
export function scrapedAt(target: ActiveTarget): number | null {
  const at = Date.parse(target.lastScrape) / 1000;
  return Number.isFinite(at) && at > 0 ? at : null;
}

/** A query for the state of the target as time passes. */
export const upQuery = (target: ActiveTarget): string => `up{${pairs(target.labels).join(",")}}`;
