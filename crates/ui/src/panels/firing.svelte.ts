/**
 * What fires now and what fired lately, asked for by every page: the badge of the header counts it, and it lies as marks over
 * charts, beside the silences.
 *
 * A server that does not answer is told by the banner; one that knows no incidents is asked rarely.
 */
import { incidents, silences, type Incident, type Silence } from "../api/alerts";
import { ApiError } from "../api/client";
import type { ChartMark } from "../charts/marks";
import { levelOf } from "../ui/severity";
import { view } from "../view.svelte";
import { marks } from "./current";

const EVERY_MS = 10_000;
/** Where there is nothing to ask for. */
const RARELY_MS = 120_000;
/** What is over, and silences, change nothing that anybody waits for. */
const PAST_EVERY_MS = 60_000;
/** Incidents of a kind that are counted and drawn. */
const COUNTED_MAX = 200;

class Firing {
  /** Nobody has them yet, and somebody has. */
  open = $state.raw<Incident[]>([]);
  taken = $state.raw<Incident[]>([]);
  #lacks = false;
  #past: ChartMark[] = [];
  #past_at = -Infinity;

  /** Asks now: also for what is over, unless it is only the turn of what fires. */
  refresh = async (everything = true): Promise<void> => {
    const stop = AbortSignal.timeout(30_000);
    try {
      const found = await incidents(["open", "acknowledged"], COUNTED_MAX, stop);
      this.open = found.filter(({ state }) => state === "open");
      this.taken = found.filter(({ state }) => state === "acknowledged");
      this.#lacks = false;
      if (everything || performance.now() - this.#past_at > PAST_EVERY_MS) {
        this.#past_at = performance.now();
        const [ended, muted] = await Promise.all([incidents(["resolved"], COUNTED_MAX, stop).catch(() => []), silences(stop).catch(() => [])]);
        this.#past = [...ended.map(markOf), ...muted.map(markOfSilence)];
      }
      marks.shown = [...found.map(markOf), ...this.#past];
    } catch (error) {
      this.#lacks = error instanceof ApiError && error.status === 404;
    }
  };

  /** Asks now and, while the page can be seen, again and again. Returns how to stop. */
  follow(): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stopped = false;
    const turn = async (): Promise<void> => {
      clearTimeout(timer);
      if (!document.hidden) await this.refresh(false);
      if (!stopped) timer = setTimeout(() => void turn(), this.#lacks ? RARELY_MS : EVERY_MS);
    };
    void turn();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }
}

const at = (time: string): number => Date.parse(time) / 1000;

const markOf = (one: Incident): ChartMark => ({
  kind: "tag",
  level: levelOf(one.severity),
  from: at(one.opened_at),
  to: one.resolved_at === null ? null : at(one.resolved_at),
  title: `${one.severity}: ${one.title}`,
  onopen: () => view.open(`alerts/incidents/${encodeURIComponent(one.id)}`),
});

const markOfSilence = (one: Silence): ChartMark => ({
  kind: "tag",
  level: "unknown",
  from: at(one.startsAt),
  to: at(one.endsAt),
  title: `silence: ${one.comment}`,
  onopen: () => view.open("alerts/silences", { silence: one.id }),
});

export const firing = new Firing();
