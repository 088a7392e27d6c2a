/**
 * Parts of the pages that are fetched when they are first wanted: the one place that waits for them.
 *
 * While the browser is offline nothing is asked for. What fails because nobody answers is asked for again until it is there,
 * styles included. Only a part that an answering server does not have is given up: that server is newer than the page.
 */
import { BASE } from "../base";

/** Pauses between attempts double from one to the other, in milliseconds. */
const PAUSE_MIN = 500;
const PAUSE_MAX = 15_000;
/** So often an answering server may be without a part. */
const MISSES_MAX = 2;

/** Style sheets that did not come. Nobody else asks for them again. */
const broken = new Set<HTMLLinkElement>();
document.addEventListener("error", ({ target }) => void (target instanceof HTMLLinkElement && broken.add(target)), true);

/** A part, however long it takes; an error where the server does not have it. */
export async function fetched<T>(load: () => Promise<T>): Promise<T> {
  let misses = 0;
  for (let pause = PAUSE_MIN; ; pause = Math.min(2 * pause, PAUSE_MAX)) {
    if (!navigator.onLine) await new Promise((done) => addEventListener("online", done, { once: true }));
    try {
      await Promise.all([...broken].map(again));
      return await load();
    } catch (error) {
      if (navigator.onLine && (await isThere()) && ++misses > MISSES_MAX) throw error;
      await new Promise((done) => setTimeout(done, pause));
    }
  }
}

/** The same, for what a page can do without: where the server does not have it, nothing comes. */
export const optional = <T>(load: () => Promise<T>): Promise<T> => fetched(load).catch(() => new Promise<T>(() => undefined));

const isThere = (): Promise<boolean> => fetch(new URL("theme.js", BASE), { method: "HEAD", cache: "no-store" }).then(
  () => true,
  () => false,
);

/** Asks once more for a style sheet, in its place. */
function again(link: HTMLLinkElement): Promise<unknown> {
  broken.delete(link);
  const copy = link.cloneNode() as HTMLLinkElement;
  return new Promise((done, failed) => {
    copy.onload = done;
    copy.onerror = failed;
    link.replaceWith(copy);
  });
}
