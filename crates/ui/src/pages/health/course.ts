/**
 * What a page has read again and again, as lines over time: values as they were, and rates of what only grows. Pure; nothing is
 * ever changed, each reading makes a new course.
 */
export interface Reading {
  /** Seconds, of any clock that only goes forward. */
  at: number;
  values: Readonly<Record<string, number | null>>;
}
export type Course = readonly Reading[];

/** Readings kept: ten minutes of one every two seconds. */
export const READINGS_MAX = 300;
/** Two readings further apart have a gap between them: the page was paused, or hidden, or had no answer. */
const GAP_SECONDS = 60;

export function withReading(course: Course, at: number, values: Reading["values"]): Course {
  return [...course.slice(-READINGS_MAX + 1), { at, values }];
}

/** The values of a field as they were read. */
export function lineOf(course: Course, key: string): (number | null)[] {
  return course.flatMap((reading, i) => [...gapBefore(course, i), reading.values[key] ?? null]);
}

/** How fast a field grew between readings, per second; nothing across a restart, which begins at zero again. */
export function rateOf(course: Course, key: string): (number | null)[] {
  return course.slice(1).flatMap((reading, i) => {
    const before = course[i] as Reading;
    const [from, to] = [before.values[key] ?? null, reading.values[key] ?? null];
    const seconds = reading.at - before.at;
    const rate = from === null || to === null || to < from || seconds <= 0 || seconds > GAP_SECONDS ? null : (to - from) / seconds;
    return [rate];
  });
}

/** The newest value of a line, over the last few so that it does not jump: a mean of what is known. */
export function newest(line: readonly (number | null)[], over = 1): number | null {
  const known = line.slice(-over).filter((value): value is number => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}

const gapBefore = (course: Course, i: number): null[] => {
  const [before, here] = [course[i - 1], course[i]];
  return before !== undefined && here !== undefined && here.at - before.at > GAP_SECONDS ? [null] : [];
};

/** What it was like with so many clients: means of the readings then. */
export interface Step {
  few: number;
  many: number;
  calls: number | null;
  p95: number | null;
  lag: number | null;
  memory: number | null;
  readings: number;
}

/** Steps shown; more numbers of clients than that are put together. */
const STEPS_MAX = 6;

/** The readings by how many clients there were, in a few steps of equal width from the fewest to the most. */
export function byClients(course: Course): Step[] {
  const rates = [null, ...rateOf(course, "calls")];
  const counts = course.map(({ values }) => values.clients ?? 0);
  const [low, high] = [Math.min(...counts), Math.max(...counts)];
  const width = Math.max(1, Math.ceil((high - low + 1) / STEPS_MAX));
  const steps = new Map<number, number[]>();
  counts.forEach((count, i) => {
    const step = Math.floor((count - low) / width);
    steps.set(step, [...(steps.get(step) ?? []), i]);
  });
  return [...steps].sort(([a], [b]) => a - b).map(([, indices]) => {
    const among = indices.map((i) => counts[i] ?? 0);
    const mean = (key: string): number | null => newest(indices.map((i) => course[i]?.values[key] ?? null), indices.length);
    return { few: Math.min(...among), many: Math.max(...among), calls: newest(indices.map((i) => rates[i] ?? null), indices.length), p95: mean("p95"), lag: mean("lag"), memory: mean("memory"), readings: indices.length };
  });
}
