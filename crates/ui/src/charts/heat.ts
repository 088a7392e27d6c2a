/**
 * Histograms over time as a heat map: columns of time, in each the buckets that hold something. Pure.
 *
 * Classic histograms come as series with the label `le`, each counting all at or below its bound; native ones bring their
 * buckets along. Both become cells with bounds of their own, so that resolutions may differ from column to column.
 */
import type { Labels } from "../promql/series";

export interface Cell {
  /** Open below, as `le` means it; −∞ and +∞ occur. */
  low: number;
  high: number;
  count: number;
}

export interface Heat {
  step: number;
  times: readonly number[];
  /** Cells of each time, upwards, without empty ones. */
  columns: readonly (readonly Cell[])[];
  /** The finite bounds that occur, ascending. */
  bounds: readonly number[];
  /** The largest count of a cell. */
  most: number;
}

/** One series as it was answered; a histogram's buckets say lower and upper bound as text. */
export interface HeatSeries {
  labels: Labels;
  samples: readonly (readonly [number, string])[];
  histograms: readonly (readonly [number, { buckets?: readonly (readonly [number, string, string, string])[] }])[];
}

export function heatOf(series: readonly HeatSeries[], from: number, to: number, step: number): Heat {
  const length = Math.max(0, Math.round((to - from) / step) + 1);
  const times = Array.from({ length }, (_, i) => from + i * step);
  const index = (at: number): number => Math.round((at - from) / step);
  const found = times.map(() => new Map<string, Cell>());
  const add = (i: number, low: number, high: number, count: number): void => {
    const column = found[i];
    if (column === undefined || !(count > 0)) return;
    const key = `${low} ${high}`;
    const cell = column.get(key);
    if (cell === undefined) column.set(key, { low, high, count });
    else cell.count += count;
  };
  for (const group of bucketGroups(series)) {
    const last = new Array<number>(length).fill(0);
    let low = (group[0]?.bound ?? 0) > 0 ? 0 : -Infinity;
    for (const { bound, samples } of group) {
      for (const [at, text] of samples) {
        const i = index(at);
        const total = Number(text === "+Inf" ? Infinity : text);
        if (!Number.isFinite(total) || last[i] === undefined) continue;
        add(i, low, bound, total - (last[i] ?? 0));
        last[i] = Math.max(last[i] ?? 0, total);
      }
      low = bound;
    }
  }
  for (const { histograms } of series) {
    for (const [at, { buckets = [] }] of histograms) for (const [, low, high, count] of buckets) add(index(at), boundOf(low), boundOf(high), Number(count));
  }
  const columns = found.map((column) => [...column.values()].sort((a, b) => a.low - b.low || a.high - b.high));
  const cells = columns.flat();
  const bounds = [...new Set(cells.flatMap(({ low, high }) => [low, high]))].filter(Number.isFinite).sort((a, b) => a - b);
  return { step, times, columns, bounds, most: cells.reduce((most, { count }) => Math.max(most, count), 0) };
}

/** Series with `le`, by their other labels, bounds ascending. */
function bucketGroups(series: readonly HeatSeries[]): { bound: number; samples: HeatSeries["samples"] }[][] {
  const groups = new Map<string, { bound: number; samples: HeatSeries["samples"] }[]>();
  for (const { labels, samples } of series) {
    const { le, ...rest } = labels;
    const bound = le === undefined ? NaN : boundOf(le);
    if (Number.isNaN(bound) || samples.length === 0) continue;
    const key = JSON.stringify(Object.entries(rest).sort());
    groups.set(key, [...(groups.get(key) ?? []), { bound, samples }]);
  }
  return [...groups.values()].map((group) => group.sort((a, b) => a.bound - b.bound));
}

const boundOf = (text: string): number => (text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text));

/** Where values are on an axis of `height` pixels, 0 at the top; and which ticks it has. */
export interface HeatScale {
  y(value: number): number;
  value(y: number): number;
  ticks: readonly number[];
}

/** Pixels of a band for what has no place on the axis: zero and less on a logarithmic one, and what is open at the top. */
const EDGE = 10;
/** Pixels between two ticks at least. */
const TICK_SPACE = 22;

export function heatScale(heat: Heat, height: number, is_log: boolean): HeatScale {
  const usable = heat.bounds.filter((bound) => !is_log || bound > 0);
  const low = usable[0] ?? (is_log ? 1 : 0);
  const high = usable.at(-1) ?? low + 1;
  const top = high > low ? high : low + Math.abs(low || 1);
  const to = is_log ? Math.log : (value: number) => value;
  const back = is_log ? Math.exp : (value: number) => value;
  const floor = height - EDGE;
  const room = floor - EDGE;
  const y = (value: number): number => {
    if (value === -Infinity || (is_log && value <= 0)) return height;
    if (value === Infinity) return 0;
    return floor - ((to(value) - to(low)) / (to(top) - to(low))) * room;
  };
  const value = (at: number): number => back(to(low) + ((floor - at) / room) * (to(top) - to(low)));
  const wanted = is_log && usable.length <= 24 ? usable : roundTicks(low, top, is_log);
  const ticks: number[] = [];
  for (const tick of wanted) if (ticks.length === 0 || Math.abs(y(tick) - y(ticks.at(-1) ?? 0)) >= TICK_SPACE) ticks.push(tick);
  return { y, value, ticks };
}

function roundTicks(low: number, high: number, is_log: boolean): number[] {
  if (is_log) {
    const from = Math.floor(Math.log10(low));
    return Array.from({ length: Math.max(0, Math.ceil(Math.log10(high)) - from) + 1 }, (_, i) => 10 ** (from + i)).filter((tick) => tick >= low && tick <= high);
  }
  const raw = (high - low) / 6;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((one) => one * size >= raw) ?? 10) * size;
  return Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, i) => (Math.ceil(low / step) + i) * step).filter((tick) => tick <= high);
}

/** Stops from few to many. Lightness alone tells them apart, so it reads without colour; each begins near its surface. */
export const DAY_HEAT = ["#e4def6", "#b7a6e8", "#8468cf", "#5a3fb0", "#2b1266"] as const;
export const NIGHT_HEAT = ["#2b2350", "#54429c", "#8770d8", "#c3a6ee", "#fdf0b8"] as const;

/** `share` from 0 to 1 as a colour; the root makes room for the small counts that would all look alike. */
export function heatColor(share: number, night: boolean): string {
  const stops = night ? NIGHT_HEAT : DAY_HEAT;
  const at = Math.sqrt(Math.min(1, Math.max(0, share))) * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(at));
  const [a, b] = [stops[i] ?? stops[0], stops[i + 1] ?? stops[0]];
  const mix = (place: number): number => Math.round(channel(a, place) + (channel(b, place) - channel(a, place)) * (at - i));
  return `rgb(${mix(1)} ${mix(3)} ${mix(5)})`;
}

const channel = (color: string, at: number): number => parseInt(color.slice(at, at + 2), 16);

/** What share of a column's observations lies at or below `value`, counting half of the cell it lies in. */
export function shareBelow(column: readonly Cell[], value: number): number {
  const total = column.reduce((sum, { count }) => sum + count, 0);
  const below = column.reduce((sum, { low, high, count }) => sum + (high <= value ? count : low < value ? count / 2 : 0), 0);
  return total === 0 ? 0 : below / total;
}
