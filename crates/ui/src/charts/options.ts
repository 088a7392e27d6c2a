/** How a time chart is drawn, as options of uPlot: axes, scales and series, each a small function of plain data. */
import type uPlot from "uplot";
import { formatDay, formatTime, parts, type Zone } from "../time/moment";
import { formatTick, tickSteps, type Unit } from "../units/format";
import { strokeIndices, type Frame } from "./frame";
import { FAINT, strokeOf } from "./palette";

/** What the theme decides. */
export interface Ink {
  night: boolean;
  text: string;
  grid: string;
}

/** As the page's own; named here because asking the browser for it costs a layout. */
const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, Inter, "Noto Sans", "Liberation Sans", sans-serif';

export function xAxis(zone: Zone, ink: Ink): uPlot.Axis {
  return {
    ...axisInk(ink),
    space: 76,
    size: 28,
    gap: 8,
    incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000, 31_536_000],
    values: (_, ticks, _axis, _space, step) => ticks.map((at, i) => tickText(at, ticks[i - 1], step, zone)),
  };
}

/** Time of day; the day itself at midnight, and wherever the ticks are days apart. */
export function tickText(at: number, before: number | undefined, step: number, zone: Zone): string {
  const { hour, minute, second } = parts(at, zone);
  const is_new_day = before !== undefined && formatDay(before, zone) !== formatDay(at, zone);
  if (step >= 86_400 || is_new_day || (hour === 0 && minute === 0 && second === 0)) return formatDay(at, zone).slice(5);
  return formatTime(at, zone, step < 60);
}

export function yAxis(unit: Unit, ink: Ink): uPlot.Axis {
  const steps = tickSteps(unit);
  return {
    ...axisInk(ink),
    space: 32,
    gap: 4,
    size: (_, values) => Math.max(36, ...(values ?? []).map((text) => 14 + text.length * 6.4)),
    values: (_, ticks, _axis, _space, step) => ticks.map((tick) => formatTick(tick, step, unit)),
    ...(steps && { incrs: steps }),
  };
}

function axisInk(ink: Ink): uPlot.Axis {
  return {
    stroke: ink.text,
    font: FONT,
    grid: { stroke: ink.grid, width: 1 },
    ticks: { show: false },
    border: { show: false },
  };
}

/** The visible extent of y: from zero where zero means something and is near, with a little air, and never flat. */
export function yRange(min: number | null, max: number | null, unit: Unit): [number, number] {
  if (min === null || max === null) return [0, unit === "percent" ? 100 : 1];
  const is_from_zero = min >= 0 && (unit !== "number" && unit !== "time" ? true : min < max * 0.7 || max === 0);
  const low = is_from_zero ? 0 : min - (max - min || Math.abs(max) || 1) * 0.08;
  // A line that stands still lies in the middle.
  if (min === max && !is_from_zero) return [low, max + (max - low)];
  const width = max - low;
  if (width <= 0) return [low, low + (unit === "percent" ? 100 : 1)];
  const high = max + width * 0.06;
  if (unit === "ratio" && low === 0 && max <= 1) return [0, Math.min(1, high)];
  return [low, unit === "percent" && low === 0 && max <= 100 ? Math.min(100, high) : high];
}

/** uPlot's series for a frame: the times, then one per line. A single line gets a light fill. */
export function seriesOf(frame: Frame, hidden: ReadonlySet<string>, ink: Ink): uPlot.Series[] {
  const is_single = frame.lines.length === 1;
  const places = strokeIndices(frame.lines);
  return [
    {},
    ...frame.lines.map((line, i) => {
      const is_faint = line.ghost_of !== undefined;
      const { color: full, dash } = strokeOf(places[i] ?? i, ink.night);
      const color = is_faint ? full + FAINT : full;
      return {
        stroke: color,
        width: 1.5,
        dash,
        show: !hidden.has(line.ghost_of ?? line.key),
        spanGaps: false,
        points: { show: (plot: uPlot, index: number) => isLonely(plot.data[index] ?? []), size: 4, fill: color },
        ...(is_single && { fill: `${color}1f` }),
      };
    }),
  ];
}

/** A line of too few values to see without dots. */
function isLonely(values: ArrayLike<number | null | undefined>): boolean {
  let count = 0;
  for (let i = 0; i < values.length; i += 1) {
    if (values[i] !== null && values[i] !== undefined && (count += 1) > 2) return false;
  }
  return count > 0;
}

export function dataOf(frame: Frame): uPlot.AlignedData {
  return [frame.times as number[], ...frame.lines.map((line) => line.values as (number | null)[])];
}
