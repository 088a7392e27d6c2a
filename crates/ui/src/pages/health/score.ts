/** Scores from 0 to 100, as rows that add up to them. Pure. */
import type { Parts, WeighedPart } from "../../api/health";
import { format } from "../../units/format";
import { partAbout, partName, spaced } from "./words";

export interface Row {
  name: string;
  title: string;
  about: string;
  now: string;
  /** Points it gives, of those that it may give; `null` where it is left out. */
  points: number | null;
  most: number;
}

/** Parts that are shares: what is not known counts as full, or, of a load, is left out. */
export function rowsOf(parts: Parts, unknown: "full" | "left out"): Row[] {
  const counted = Object.values(parts).filter(({ value }) => unknown === "full" || value !== null);
  const weights = counted.reduce((sum, { weight }) => sum + weight, 0);
  return Object.entries(parts).map(([name, { value, weight }]) => {
    const is_out = unknown === "left out" && value === null;
    const most = weights > 0 && !is_out ? (100 * weight) / weights : 0;
    return { name, title: partName(name), about: partAbout(name), now: value === null ? "not known" : format(value, "ratio"), points: is_out ? null : tenths(most * Math.min(1, Math.max(0, value ?? 1))), most: tenths(most) };
  });
}

/** Parts that are figures between one that is good and one that is bad; what is not known is left out. */
export function rowsOfFigures(parts: readonly WeighedPart[]): Row[] {
  const weights = parts.filter(({ score }) => score !== null).reduce((sum, { weight }) => sum + weight, 0);
  return parts.map(({ name, value, good, bad, weight, score, critical }) => {
    const most = weights > 0 && score !== null ? (100 * weight) / weights : 0;
    const text = (figure: number): string => figureText(name, figure);
    const about = `full at ${text(good)}, nothing at ${text(bad)}${critical ? ", critical" : ""}`;
    return { name, title: partName(name), about, now: value === null ? "not known" : text(value), points: score === null ? null : tenths(most * score), most: tenths(most) };
  });
}

/** A figure by what its name says of its unit. */
function figureText(name: string, figure: number): string {
  if (/_ms$/.test(name)) return format(figure / 1000, "seconds");
  if (/(_of_|_ratio$)/.test(name)) return `${format(figure, "number")} ×`;
  if (/(rate|saturation|drops|fill|share|usage)/.test(spaced(name))) return format(figure, "ratio");
  return format(figure, "number");
}

const tenths = (value: number): number => Math.round(value * 10) / 10;
