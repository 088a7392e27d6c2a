/** Every page and its URL below `/ui/`, in the order of the rail. A page that does not exist yet is not here. */
import type { Component } from "svelte";
import Overview from "./pages/Overview.svelte";

export interface Route {
  /** Path below `/ui/`; empty for the first page. */
  path: string;
  title: string;
  /** Pressed after `g`. */
  key?: string;
  icon: "overview" | "explore" | "admin";
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
  { path: "admin/storage", title: "Storage", rail: "Admin", key: "m", icon: "admin", page: { later: () => import("./pages/admin/Storage.svelte") } },
  { path: "admin/cardinality", title: "Cardinality", tab_of: "admin/storage", icon: "admin", page: { later: () => import("./pages/admin/Cardinality.svelte") } },
  { path: "admin/queries", title: "Queries", tab_of: "admin/storage", icon: "admin", page: { later: () => import("./pages/admin/Queries.svelte") } },
];

/** A page and its tabs. */
export const tabsOf = (path: string): Route[] => ROUTES.filter((route) => route.path === path || route.tab_of === path);
