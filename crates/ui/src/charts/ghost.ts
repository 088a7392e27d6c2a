/**
 * The same question asked of another time or version, laid faintly behind the answer. Pure.
 *
 * A faint line belongs to the line of the same labels: it has its colour, and is hidden with it.
 */
import { seriesKey, type Labels } from "../promql/series";
import type { Frame, Line } from "./frame";

/** A frame moved along the time axis, onto the present. */
export function shifted(frame: Frame, seconds: number): Frame {
  return { ...frame, times: frame.times.map((at) => at + seconds) };
}

/** The lines of `ghost` on the times of `frame`, below its own, each bound to its twin: the line that differs at most in `label`. */
export function withGhosts(frame: Frame, ghost: Frame, label: string | null): Frame {
  const bare = (labels: Labels): string => seriesKey(Object.fromEntries(Object.entries(labels).filter(([name]) => name !== label)));
  const twins = new Map<string, string>();
  for (const line of frame.lines) if (line.ghost_of === undefined && !twins.has(bare(line.labels))) twins.set(bare(line.labels), line.key);
  const offset = Math.round(((ghost.times[0] ?? 0) - (frame.times[0] ?? 0)) / frame.step);
  const lines = ghost.lines.map((line): Line => {
    const values = frame.times.map((_, i) => line.values[i - offset] ?? null);
    return { key: `before ${line.key}`, labels: line.labels, values, ghost_of: twins.get(bare(line.labels)) ?? `before ${line.key}` };
  });
  return { ...frame, lines: [...lines.filter(({ values }) => values.some((value) => value !== null)), ...frame.lines] };
}

/** `+12 %`, `−3 %`; empty where it would say nothing. */
export function changeText(now: number | null, before: number | null): string {
  if (now === null || before === null || before === 0) return "";
  const share = ((now - before) / Math.abs(before)) * 100;
  const size = Math.abs(share);
  const digits = size >= 100 ? Math.round(size).toLocaleString("en-US") : String(Number(size.toPrecision(2)));
  return size < 0.05 ? "±0\u00a0%" : `${share < 0 ? "−" : "+"}${digits}\u00a0%`;
}
