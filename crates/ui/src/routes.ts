/** Every page and its URL below `/ui/`, in the order of the rail. A page that does not exist yet is not here. */
import type { Component } from "svelte";
import Overview from "./pages/Overview.svelte";

export interface Route {
  /** Path below `/ui/`; empty for the first page. */
  path: string;
  title: string;
  /** Pressed after `g`. */
  key?: string;
  icon: "overview" | "explore" | "health" | "admin";
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
};

/** A page and its tabs. */
export const tabsOf = (path: string): Route[] => ROUTES.filter((route) => route.path === path || route.tab_of === path);
