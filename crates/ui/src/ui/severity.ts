/** How bad an alert is: the colour and the icon of a severity, which is told by its own word. */
import type { IconName } from "./icons";
import { LEVEL_ICONS, type Level } from "./level";

/** The worst first. */
export const SEVERITIES = ["critical", "warning", "info"] as const;

const LEVELS: Readonly<Record<string, Level>> = { critical: "critical", page: "critical", error: "critical", warning: "warning", info: "unknown", none: "unknown" };
export const levelOf = (severity: string): Level => LEVELS[severity] ?? "unknown";

/** Smaller is worse. */
export const rankOf = (severity: string): number => ["critical", "warning", "unknown"].indexOf(levelOf(severity));

export const iconOf = (severity: string): IconName => (severity === "info" ? "info" : LEVEL_ICONS[levelOf(severity)]);
