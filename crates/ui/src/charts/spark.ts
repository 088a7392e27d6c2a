/** The outline of a sparkline, as SVG path data. */

/** Points drawn; beyond it each is the mean of several. */
const POINTS_MAX = 120;

export function sparkPath(values: readonly (number | null)[], width: number, height: number): { line: string; area: string } {
  // It starts with the first value: shortly after a start the line would otherwise be a dot at the edge.
  const begin = values.findIndex((value) => value !== null);
  const points = thinned(begin < 0 ? [] : values.slice(begin));
  const known = points.filter((value): value is number => value !== null);
  if (known.length < 2) return { line: "", area: "" };
  const top = Math.max(...known);
  const low = Math.min(...known);
  // A line that hardly moves is drawn flat rather than as noise blown up.
  const bottom = low >= 0 && low < top * 0.5 ? 0 : low - Math.max((top - low) * 0.15, Math.abs(top) * 0.01);
  const x = (i: number): number => round((i / (points.length - 1)) * width);
  const y = (value: number): number => round(height - 1.5 - ((value - bottom) / (top - bottom || 1)) * (height - 4));
  let line = "";
  let area = "";
  let start: number | null = null;
  points.forEach((value, i) => {
    if (value === null) {
      if (start !== null) area += `L${x(i - 1)} ${height}L${x(start)} ${height}Z`;
      start = null;
      return;
    }
    const step = `${start === null ? "M" : "L"}${x(i)} ${y(value)}`;
    line += step;
    area += step;
    start ??= i;
  });
  if (start !== null) area += `L${x(points.length - 1)} ${height}L${x(start)} ${height}Z`;
  return { line, area };
}

/** Means of equal runs, few enough to draw. A run without any value stays a gap. */
function thinned(values: readonly (number | null)[]): (number | null)[] {
  const run = Math.ceil(values.length / POINTS_MAX);
  if (run <= 1) return [...values];
  const points: (number | null)[] = [];
  // Runs are counted from the end, so the newest point is always a full one.
  for (let end = values.length; end > 0; end -= run) {
    const known = values.slice(Math.max(0, end - run), end).filter((value): value is number => value !== null);
    points.unshift(known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length);
  }
  return points;
}

const round = (n: number): number => Math.round(n * 10) / 10;
