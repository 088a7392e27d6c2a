/** The figures of calls and events that pages draw over time, from one reading. Pure. */
import type { Performance } from "../../api/health";
import type { Reading } from "./course";

export function figuresOf({ api, events }: Performance): Reading["values"] {
  return {
    calls: api["calls-total"],
    p50: api["p50-ms"],
    p95: api["p95-ms"],
    p99: api["p99-ms"],
    concurrent: api["concurrent-current"],
    published: events.pipeline.published,
    queued: events.pipeline.queued,
    delivered: events.pipeline.delivered,
    dropped: events.pipeline.dropped,
    overflows: events.overflows,
    fill: events.queues.fill,
    lag: events["lag-max-ms"],
  };
}
