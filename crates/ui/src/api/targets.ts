/** What the Targets page asks: the Prometheus form of what is scraped. */
import { look } from "./client";

export type Labels = Readonly<Record<string, string>>;

export interface ActiveTarget {
  discoveredLabels: Labels;
  labels: Labels;
  scrapePool: string;
  scrapeUrl: string;
  lastError: string;
  /** RFC 3339; the year 1 before the first scrape. */
  lastScrape: string;
  /** Seconds. */
  lastScrapeDuration: number;
  health: "up" | "down" | "unknown";
  scrapeInterval: string;
  scrapeTimeout: string;
}

export interface DroppedTarget {
  discoveredLabels: Labels;
  scrapePool: string;
  /** Why it cannot be a target; a rule dropped it where nothing is told. */
  error?: string;
}

export interface Targets {
  activeTargets: ActiveTarget[];
  droppedTargets: DroppedTarget[];
  droppedTargetCounts: Record<string, number> | null;
}

export async function targets(signal?: AbortSignal): Promise<Targets> {
  return (await look<Targets>("targets", { state: "any" }, signal)).data;
}
