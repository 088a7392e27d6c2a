/**
 * The data of one chart: lines over shared, evenly spaced times.
 *
 * Every time is a multiple of the step, so an answer of the range API and the events of the live stream fit together. A value
 * that is not there is `null` and draws as a gap. Frames are never changed; each update is a new one.
 */
import { seriesKey, type Labels } from "../promql/series";

export interface Line {
  key: string;
  labels: Labels;
  values: readonly (number | null)[];
  /** Of a faint line: the key of the line that it is compared with, or its own. */
  ghost_of?: string;
}

export interface Frame {
  step: number;
  times: readonly number[];
  lines: readonly Line[];
}

/** One series of a range answer: times in Unix seconds, ascending, and values as the server writes them. */
export interface RangeSeries {
  labels: Labels;
  samples: readonly (readonly [number, string])[];
}

/** One series' value at one moment. */
export interface Point {
  labels: Labels;
  value: number;
}

/** Series a frame keeps; beyond it a chart is a blot and the table is the better view. */
export const LINES_MAX = 200;

export function frameOf(series: readonly RangeSeries[], from: number, to: number, step: number): Frame {
  const count = Math.max(0, Math.round((to - from) / step) + 1);
  const times = Array.from({ length: count }, (_, i) => from + i * step);
  const lines = series.slice(0, LINES_MAX).map(({ labels, samples }) => {
    const values = new Array<number | null>(count).fill(null);
    for (const [at, value] of samples) {
      const index = Math.round((at - from) / step);
      if (index >= 0 && index < count) values[index] = finite(Number(value));
    }
    return { key: seriesKey(labels), labels, values };
  });
  return { step, times, lines };
}

/**
 * The frame with one more moment, and without what is older than `keep_from`. Steps that were missed become gaps; a moment
 * that the frame already has is written over (a stream that resumes may send it twice); an older one than all is dropped.
 */
export function withPoints(frame: Frame, at: number, points: readonly Point[], keep_from: number): Frame {
  const { step } = frame;
  const start = frame.times[0] ?? at;
  const index = Math.round((at - start) / step);
  if (index < 0) return frame;
  const drop = Math.max(0, Math.min(index, Math.ceil((keep_from - start) / step - 1e-9)));
  const count = Math.max(frame.times.length, index + 1) - drop;
  const times = Array.from({ length: count }, (_, i) => start + (i + drop) * step);
  const fresh = new Map(points.map((point) => [seriesKey(point.labels), point]));
  const grow = (values: readonly (number | null)[]): (number | null)[] => {
    const grown = values.slice(drop);
    while (grown.length < count) grown.push(null);
    return grown;
  };
  const lines: Line[] = [];
  for (const line of frame.lines) {
    const values = grow(line.values);
    const point = fresh.get(line.key);
    values[index - drop] = point === undefined ? null : finite(point.value);
    fresh.delete(line.key);
    if (values.some((value) => value !== null)) lines.push({ ...line, values });
  }
  for (const [key, point] of fresh) {
    if (lines.length >= LINES_MAX) break;
    const values = grow([]);
    values[index - drop] = finite(point.value);
    lines.push({ key, labels: point.labels, values });
  }
  return { step, times, lines };
}

/** The newest value of a line that is there. */
export function lastValue(line: Line): number | null {
  for (let i = line.values.length - 1; i >= 0; i -= 1) {
    const value = line.values[i];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

/** Whether a line stands for itself: a faint one that has a twin does not. */
export const isOwn = (line: Line): boolean => line.ghost_of === undefined || line.ghost_of === line.key;

/** The place of each line's stroke in the palette: a faint one shares that of its twin. */
export function strokeIndices(lines: readonly Line[]): number[] {
  const places = new Map<string, number>();
  for (const line of lines) if (line.ghost_of === undefined) places.set(line.key, places.size);
  for (const line of lines) if (isOwn(line) && !places.has(line.key)) places.set(line.key, places.size);
  return lines.map((line) => places.get(line.ghost_of ?? line.key) ?? 0);
}

/** Several frames of the same times as one, in order, their keys told apart by `prefixes`. Times come from the widest. */
export function merged(frames: readonly Frame[], prefixes: readonly string[] = []): Frame | null {
  const [first, ...rest] = frames;
  if (first === undefined) return null;
  if (rest.length === 0 && prefixes.length === 0) return first;
  const from = Math.min(...frames.map((frame) => frame.times[0] ?? Infinity));
  const to = Math.max(...frames.map((frame) => frame.times[frame.times.length - 1] ?? -Infinity));
  if (!Number.isFinite(from) || !Number.isFinite(to)) return first;
  const count = Math.round((to - from) / first.step) + 1;
  const times = Array.from({ length: count }, (_, i) => from + i * first.step);
  const lines = frames.flatMap((frame, source) => {
    const offset = Math.round(((frame.times[0] ?? from) - from) / first.step);
    const prefix = prefixes[source] ?? String(source);
    return frame.lines.map((one) => {
      const line = { ...one, key: prefix + one.key, ...(one.ghost_of !== undefined && { ghost_of: prefix + one.ghost_of }) };
      if (offset === 0 && line.values.length === count) return line;
      const values = new Array<number | null>(count).fill(null);
      line.values.forEach((value, i) => (values[i + offset] = value));
      return { ...line, values };
    });
  });
  return { step: first.step, times, lines };
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
