/** Every page and its URL below `/ui/`, in the order of the rail. A page that does not exist yet is not here. */
import type { Component } from "svelte";
import Overview from "./pages/Overview.svelte";

export interface Route {
  /** Path below `/ui/`; empty for the first page. One that ends in a slash stands for all below it, and is nobody's tab. */
  path: string;
  title: string;
  /** Pressed after `g`. */
  key?: string;
  icon: "overview" | "explore" | "alerts" | "health" | "admin";
  /** The name that the rail has for it, where that is not its title. */
  rail?: string;
  /** The page whose tab it is; the rail has only that one. */
  tab_of?: string;
  /** The page, or how to fetch it when it is asked for. */
  page: { now: Component } | { later: () => Promise<{ default: Component }> };
}

export const ROUTES: readonly Route[] = [
  { path: "", title: "Overview", key: "o", icon: "overview", page: { now: Overview } },
  { path: "explore", title: "Explore", key: "e", icon: "explore", page: { later: () => import("./pages/explore/Explore.svelte") } },
  { path: "alerts", title: "Inbox", rail: "Alerts", key: "a", icon: "alerts", page: { later: () => import("./pages/alerts/Inbox.svelte") } },
  { path: "alerts/rules", title: "Rules", tab_of: "alerts", icon: "alerts", page: { later: () => import("./pages/alerts/Rules.svelte") } },
  { path: "alerts/silences", title: "Silences", tab_of: "alerts", icon: "alerts", page: { later: () => import("./pages/alerts/Silences.svelte") } },
  { path: "alerts/oncall", title: "On call", tab_of: "alerts", icon: "alerts", page: { later: () => import("./pages/alerts/OnCall.svelte") } },
  { path: "alerts/receivers", title: "Receivers", tab_of: "alerts", icon: "alerts", page: { later: () => import("./pages/alerts/Receivers.svelte") } },
  { path: "alerts/incidents/", title: "Incident", tab_of: "alerts", icon: "alerts", page: { later: () => import("./pages/alerts/Incident.svelte") } },
  { path: "alerts/rules/", title: "Rule", tab_of: "alerts", icon: "alerts", page: { later: () => import("./pages/alerts/Rule.svelte") } },
  { path: "health", title: "Components", rail: "Health", key: "h", icon: "health", page: { later: () => import("./pages/health/Components.svelte") } },
  { path: "health/checks", title: "Checks", tab_of: "health", icon: "health", page: { later: () => import("./pages/health/Checks.svelte") } },
  { path: "health/cluster", title: "Cluster", tab_of: "health", icon: "health", page: { later: () => import("./pages/health/Cluster.svelte") } },
  { path: "health/clients", title: "Clients", tab_of: "health", icon: "health", page: { later: () => import("./pages/health/Clients.svelte") } },
  { path: "health/performance", title: "Performance", tab_of: "health", icon: "health", page: { later: () => import("./pages/health/Performance.svelte") } },
  { path: "health/errors", title: "Errors", tab_of: "health", icon: "health", page: { later: () => import("./pages/health/Errors.svelte") } },
  { path: "health/heartbeats", title: "Heartbeats", tab_of: "health", icon: "health", page: { later: () => import("./pages/health/Heartbeats.svelte") } },
  { path: "health/diagnostics", title: "Diagnostics", tab_of: "health", icon: "health", page: { later: () => import("./pages/health/Diagnostics.svelte") } },
  { path: "admin/storage", title: "Storage", rail: "Admin", key: "m", icon: "admin", page: { later: () => import("./pages/admin/Storage.svelte") } },
  { path: "admin/cardinality", title: "Cardinality", tab_of: "admin/storage", icon: "admin", page: { later: () => import("./pages/admin/Cardinality.svelte") } },
  { path: "admin/targets", title: "Targets", tab_of: "admin/storage", icon: "admin", page: { later: () => import("./pages/admin/Targets.svelte") } },
  { path: "admin/queries", title: "Queries", tab_of: "admin/storage", icon: "admin", page: { later: () => import("./pages/admin/Queries.svelte") } },
  { path: "admin/admission", title: "Admission", tab_of: "admin/storage", icon: "admin", page: { later: () => import("./pages/admin/Admission.svelte") } },
  { path: "admin/access", title: "Access", tab_of: "admin/storage", icon: "admin", page: { later: () => import("./pages/admin/Access.svelte") } },
  { path: "admin/audit", title: "Audit", tab_of: "admin/storage", icon: "admin", page: { later: () => import("./pages/admin/Audit.svelte") } },
  { path: "admin/tenants", title: "Tenants", tab_of: "admin/storage", icon: "admin", page: { later: () => import("./pages/admin/Tenants.svelte") } },
];

/** Other names of pages, which lead there: a page has one address. */
export const LEADS: Readonly<Record<string, string>> = {
  overview: "",
  resources: "",
  query: "explore",
  tokens: "admin/access",
  users: "admin/access",
  audit: "admin/audit",
  components: "health",
  "health/components": "health",
  clients: "health/clients",
  performance: "health/performance",
  errors: "health/errors",
  diagnostics: "health/diagnostics",
  targets: "admin/targets",
  admission: "admin/admission",
  incidents: "alerts",
  "alerts/incidents": "alerts",
  silences: "alerts/silences",
  oncall: "alerts/oncall",
  receivers: "alerts/receivers",
  rules: "alerts/rules",
};

const isBelow = (path: string): boolean => path.endsWith("/");

/** The page at a path. */
export const routeOf = (path: string): Route | undefined => ROUTES.find((route) => (isBelow(route.path) ? path.startsWith(route.path) : route.path === path));

/** A page and its tabs. */
export const tabsOf = (path: string): Route[] => ROUTES.filter((route) => (route.path === path || route.tab_of === path) && !isBelow(route.path));
