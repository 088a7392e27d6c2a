/** What a line was over the range that is shown. Pure. */
import type { Line } from "./frame";

export interface Stats {
  min: number | null;
  max: number | null;
  avg: number | null;
  last: number | null;
}

export function statsOf({ values }: Line): Stats {
  let [min, max, sum, count] = [Infinity, -Infinity, 0, 0];
  let last: number | null = null;
  for (const value of values) {
    if (value === null) continue;
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
    count += 1;
    last = value;
  }
  return count === 0 ? { min: null, max: null, avg: null, last: null } : { min, max, avg: sum / count, last };
}
