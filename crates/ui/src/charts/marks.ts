/** What is drawn over the lines of a chart: periods and moments of something that is not in its data. */
export interface ChartMark {
  /** `tag` is a thin bar at the top with its start as a line, for what may be anything; `band` tints the whole height. */
  kind: "tag" | "band";
  level: "ok" | "warning" | "critical" | "unknown";
  /** Unix seconds; what is not over yet has no end. */
  from: number;
  to: number | null;
  title: string;
  /** What it shows has a page. */
  onopen?: () => void;
}

/** Marks of one chart at most: more would hide what they are drawn over. */
const MARKS_MAX = 100;

export interface Placed {
  mark: ChartMark;
  /** Percent of the width. */
  left: number;
  width: number;
  /** Whether it began while the chart shows. */
  begins: boolean;
  /** Which of the lanes at the top, from 0. */
  lane: number;
}

/** Lanes at the top; what finds none free lies in the last. */
const LANES = 3;

/** Where each mark of the range lies: those that overlap one below the other. */
export function placed(marks: readonly ChartMark[], from: number, to: number): Placed[] {
  const ends = new Array<number>(LANES).fill(-Infinity);
  return joined(marks.filter((mark) => mark.from < to && (mark.to ?? Infinity) > from).sort((a, b) => a.from - b.from))
    .slice(-MARKS_MAX)
    .map((mark) => {
      const start = Math.max(mark.from, from);
      const end = Math.min(mark.to ?? to, to);
      const free = ends.findIndex((at) => at <= start);
      const lane = mark.kind === "band" ? 0 : free < 0 ? LANES - 1 : free;
      if (mark.kind === "tag") ends[lane] = Math.max(ends[lane] ?? 0, end);
      return { mark, left: (100 * (start - from)) / (to - from), width: (100 * (end - start)) / (to - from), begins: mark.from >= from, lane };
    });
}

/** Bands that overlap are one: tint over tint would look like something worse. */
function joined(marks: readonly ChartMark[]): ChartMark[] {
  const kept: ChartMark[] = [];
  for (const mark of marks) {
    const at = kept.findLastIndex((one) => one.kind === "band" && one.level === mark.level);
    const before = kept[at];
    if (mark.kind !== "band" || before === undefined || (before.to ?? Infinity) < mark.from) kept.push(mark);
    else {
      const title = before.title.endsWith(mark.title) ? before.title : /, and others$/.test(before.title) ? before.title : `${before.title}, and others`;
      kept[at] = { ...before, to: before.to === null || mark.to === null ? null : Math.max(before.to, mark.to), title };
    }
  }
  return kept;
}
