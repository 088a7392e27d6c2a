/** Every page and its URL below `/ui/`, in the order of the rail. A page that does not exist yet is not here. */
import type { Component } from "svelte";
import Overview from "./pages/Overview.svelte";

export interface Route {
  /** Path below `/ui/`; empty for the first page. */
  path: string;
  title: string;
  /** Pressed after `g`. */
  key: string;
  icon: "overview" | "explore";
  /** The page, or how to fetch it when it is asked for. */
  page: { now: Component } | { later: () => Promise<{ default: Component }> };
}

export const ROUTES: readonly Route[] = [
  { path: "", title: "Overview", key: "o", icon: "overview", page: { now: Overview } },
  { path: "explore", title: "Explore", key: "e", icon: "explore", page: { later: () => import("./pages/Explore.svelte") } },
];
