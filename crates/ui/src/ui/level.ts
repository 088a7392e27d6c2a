/** How bad something is, with the icon that goes with the colour. */
import type { IconName } from "./icons";

export type Level = "ok" | "warning" | "critical" | "unknown";

export const LEVEL_ICONS: Readonly<Record<Level, IconName>> = { ok: "check", warning: "warning", critical: "cross", unknown: "question" };

/** The worst first. */
export const LEVELS: readonly Level[] = ["critical", "warning", "unknown", "ok"];
