/** How something was over time, as runs of the same state. Pure. */
import type { State } from "../../api/health";

/** From then on it was so. */
export interface Since {
  status: State;
  at: number;
}

export interface Run {
  status: State;
  from: number;
  to: number;
}

/**
 * The runs of a span of time, oldest first: before the first known state it is unknown, and states that follow each other and
 * are the same are one run.
 */
export function runsOf(states: readonly Since[], from: number, to: number): Run[] {
  const sorted = [...states].sort((a, b) => a.at - b.at).filter(({ at }) => at < to);
  const before = sorted.filter(({ at }) => at <= from).at(-1);
  const runs: Run[] = [{ status: before?.status ?? "unknown", from, to }];
  for (const { status, at } of sorted) {
    const last = runs[runs.length - 1];
    if (at <= from || last === undefined || last.status === status) continue;
    last.to = at;
    runs.push({ status, from: at, to });
  }
  return runs;
}

/** The share of the time known in which it was healthy, 0 to 1; `null` if nothing is known. */
export function healthyShare(runs: readonly Run[]): number | null {
  const sum = (of: (run: Run) => boolean): number => runs.filter(of).reduce((all, run) => all + run.to - run.from, 0);
  const known = sum(({ status }) => status !== "unknown");
  return known === 0 ? null : sum(({ status }) => status === "healthy") / known;
}
