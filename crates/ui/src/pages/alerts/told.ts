/** Alerts as the server tells them: what a page shows is asked for again soon after, and what is for information is said. */
import { listen } from "../../api/events";
import type { ServerEvent } from "../../api/sse";
import { firing } from "../../panels/firing.svelte";
import { toast } from "../../panels/toast.svelte";
import { toastOf } from "./toasts";

/** A storm of events is one question. */
const SETTLE_MS = 400;
const SAID_MS = 8_000;

/** Until it is stopped, `again` is called after each event, and after those that were missed. Returns how to stop. */
export function onAlerts(again: () => Promise<unknown>): () => void {
  let stop = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let is_asking = false;
  const soon = (): void => {
    if (is_asking) return;
    is_asking = true;
    timer = setTimeout(() => {
      void Promise.all([again(), firing.refresh()]).finally(() => (is_asking = false));
    }, SETTLE_MS);
  };
  const take = (event: ServerEvent): void => {
    const text = toastOf(event);
    if (text !== null) toast.say(text, SAID_MS);
    soon();
  };
  let was_up = false;
  const up = (is_up: boolean): void => {
    if (is_up && was_up) soon();
    was_up ||= is_up;
  };
  // Who does not look holds none of the few connections.
  const seen = (): void => {
    stop.abort();
    if (document.hidden) return;
    stop = new AbortController();
    void listen({ bus: "alerts", topics: [] }, take, up, stop.signal);
  };
  seen();
  document.addEventListener("visibilitychange", seen);
  return () => {
    stop.abort();
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  };
}
