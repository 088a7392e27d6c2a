/** The inbox as data: what its address asks for, and the rows that incidents and their alerts make. Pure. */
import type { Alert, Incident } from "../../api/alerts";
import { levelOf, rankOf, SEVERITIES } from "../../ui/severity";
import { alertName } from "./words";

export const STATES = ["active", "open", "acknowledged", "pending", "resolved"] as const;
export type Shown = (typeof STATES)[number];

export interface Asked {
  state: Shown;
  severity: string;
  receiver: string;
  /** Matchers between commas. */
  filter: string;
  members: Members;
}

/** How many alerts stand below their incident: the first few tell what it is about, without burying the next incident. */
export const MEMBERS = ["few", "all", "no"] as const;
export type Members = (typeof MEMBERS)[number];
const FEW = 5;

export function readAsked(params: URLSearchParams): Asked {
  return {
    state: STATES.find((one) => one === params.get("state")) ?? "active",
    severity: SEVERITIES.find((one) => one === params.get("severity")) ?? "",
    receiver: params.get("receiver") ?? "",
    filter: params.get("filter") ?? "",
    members: MEMBERS.find((one) => one === params.get("members")) ?? "few",
  };
}

export type Row =
  | { kind: "incident"; id: string; incident: Incident; members: Alert[] }
  | { kind: "alert"; id: string; alert: Alert; incident: Incident | null }
  /** So many alerts of an incident stand on its own page only. */
  | { kind: "more"; id: string; incident: Incident; count: number };

/**
 * Each incident, the worst and then the newest first, with its alerts below it; then what is in none. With a filter only
 * incidents that have an alert which fits.
 */
export function rowsOf(incidents: readonly Incident[], alerts: readonly Alert[], asked: Asked): Row[] {
  const members = new Map<string, Alert[]>();
  const known = new Set(incidents.map(({ id }) => id));
  const alone: Alert[] = [];
  for (const alert of alerts) {
    if (alert.incident_id !== null && known.has(alert.incident_id)) {
      const mine = members.get(alert.incident_id);
      if (mine === undefined) members.set(alert.incident_id, [alert]);
      else mine.push(alert);
    } else if (asked.state === "active" || asked.state === "pending") alone.push(alert);
  }
  const of_severity = (severity: string): boolean => asked.severity === "" || levelOf(severity) === levelOf(asked.severity);
  const is_filtered = asked.filter !== "" || asked.receiver !== "";
  const shown = incidents
    .filter(({ id, severity }) => of_severity(severity) && (!is_filtered || members.has(id)))
    .sort((a, b) => rankOf(a.severity) - rankOf(b.severity) || (a.opened_at < b.opened_at ? 1 : -1));
  const rows = shown.flatMap((incident): Row[] => {
    const mine = (members.get(incident.id) ?? []).sort(worstFirst);
    const head: Row = { kind: "incident", id: incident.id, incident, members: mine };
    if (asked.members === "no") return [head];
    // A row that says "1 more" is no shorter than the alert.
    const shown = asked.members === "all" || mine.length <= FEW + 1 ? mine : mine.slice(0, FEW);
    const count = mine.length - shown.length;
    return [head, ...shown.map((alert): Row => ({ kind: "alert", id: alert.id, alert, incident })), ...(count > 0 ? [{ kind: "more", id: `${incident.id} more`, incident, count } satisfies Row] : [])];
  });
  const rest = alone.filter(({ severity }) => of_severity(severity)).sort(worstFirst);
  return [...rows, ...rest.map((alert): Row => ({ kind: "alert", id: alert.id, alert, incident: null }))];
}

const byName = (a: Alert, b: Alert): number => (alertName(a) < alertName(b) ? -1 : alertName(a) > alertName(b) ? 1 : a.starts_at < b.starts_at ? -1 : 1);

const worstFirst = (a: Alert, b: Alert): number => rankOf(a.severity) - rankOf(b.severity) || byName(a, b);

/** The incidents that the chosen rows are, or are in; and the alerts among them that are in none. */
export function chosenOf(rows: readonly Row[], chosen: ReadonlySet<string>): { incidents: Incident[]; alone: Alert[]; alerts: Alert[] } {
  const incidents = new Map<string, Incident>();
  const alone: Alert[] = [];
  const alerts = new Map<string, Alert>();
  for (const row of rows) {
    if (!chosen.has(row.id)) continue;
    if (row.incident !== null) incidents.set(row.incident.id, row.incident);
    else if (row.kind === "alert") alone.push(row.alert);
    for (const alert of row.kind === "alert" ? [row.alert] : row.kind === "incident" ? row.members : []) alerts.set(alert.id, alert);
  }
  return { incidents: [...incidents.values()], alone, alerts: [...alerts.values()] };
}
