/** Which clients are listed and in which order: its form in the URL, and the list that comes of it. Pure. */
import type { ClientLine, State } from "../../api/health";
import { sortedBy, type Column, type Sorting } from "../../ui/table";
import { PATTERN_NAMES, stateOfScore, STATES } from "./words";

export const COLUMNS: readonly Column[] = [
  { id: "client", title: "Client", wide: true },
  { id: "health", title: "Health", number: true },
  { id: "pattern", title: "Pattern" },
  { id: "queue", title: "Queue" },
  { id: "calls", title: "Calls", number: true },
  { id: "events", title: "Events", number: true },
  { id: "cost", title: "Cost", number: true },
  { id: "connected", title: "Connected", number: true },
];
export const QUEUES = ["healthy", "warning", "critical"] as const;

export interface Listing {
  /** Part of the name. */
  find: string;
  health: State | "";
  pattern: string;
  queue: string;
  /** Whether those that are not connected any more are listed too. */
  gone: boolean;
  sorting: Sorting;
}

/** Who costs most stands first: that is what the list is opened for. */
const SORTING: Sorting = { column: "cost", descending: true };

export function readListing(params: URLSearchParams): Listing {
  const one = <T extends string>(name: string, of: readonly T[]): T | "" => of.find((value) => value === params.get(name)) ?? "";
  const sort = params.get("sort") ?? "";
  const column = sort.replace(/^-/, "");
  const sorting = COLUMNS.some(({ id }) => id === column) ? { column, descending: sort.startsWith("-") } : SORTING;
  return { find: params.get("find") ?? "", health: one("health", STATES), pattern: one("pattern", PATTERN_NAMES), queue: one("queue", QUEUES), gone: params.get("gone") === "yes", sorting };
}

/** The parameters that say so; what is as usual needs none. */
export function writeListing(listing: Partial<Listing>): Record<string, string | null> {
  const patch: Record<string, string | null> = {};
  for (const name of ["find", "health", "pattern", "queue"] as const) {
    const value = listing[name];
    if (value !== undefined) patch[name] = value === "" ? null : value;
  }
  if (listing.gone !== undefined) patch.gone = listing.gone ? "yes" : null;
  if (listing.sorting !== undefined) {
    const { column, descending } = listing.sorting;
    patch.sort = column === SORTING.column && descending === SORTING.descending ? null : `${descending ? "-" : ""}${column}`;
  }
  return patch;
}

/** How many clients there are in each state. */
export function countStates(lines: readonly ClientLine[]): Record<State, number> {
  const counts = { healthy: 0, degraded: 0, unhealthy: 0, unknown: 0 };
  for (const line of lines) counts[stateOfScore(line["client-health-score"])] += 1;
  return counts;
}

export function listed(lines: readonly ClientLine[], listing: Listing): ClientLine[] {
  const find = listing.find.toLowerCase();
  const found = lines.filter(
    (line) =>
      (find === "" || line["client-id"].toLowerCase().includes(find)) &&
      (listing.health === "" || stateOfScore(line["client-health-score"]) === listing.health) &&
      (listing.pattern === "" || line.pattern === listing.pattern) &&
      (listing.queue === "" || line["queue-health"] === listing.queue),
  );
  const key = KEYS[listing.sorting.column] ?? KEYS.client;
  return key === undefined ? found : sortedBy(found, key, listing.sorting.descending);
}

const KEYS: Readonly<Record<string, (line: ClientLine) => string | number>> = {
  client: (line) => line["client-id"],
  health: (line) => line["client-health-score"],
  pattern: (line) => line.pattern,
  queue: (line) => QUEUES.indexOf(line["queue-health"]),
  calls: (line) => line["api-calls"],
  events: (line) => line["events-received"],
  cost: (line) => line.cost,
  connected: (line) => line["connected-duration-hours"],
};
