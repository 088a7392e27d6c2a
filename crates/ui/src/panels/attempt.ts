/** Does something and says how it went, in the server's words if it did not. */
import { copyText } from "./save";
import { toast } from "./toast.svelte";

export async function attempt(work: () => Promise<unknown>, done: string): Promise<boolean> {
  try {
    await work();
    if (done !== "") toast.say(done);
    return true;
  } catch (error) {
    toast.say(error instanceof Error ? error.message : String(error), 6_000);
    return false;
  }
}

/** Copies what is called so. */
export async function copy(what: string, text: string): Promise<void> {
  toast.say((await copyText(text)) ? `${what} copied` : `The browser refused to copy the ${what.toLowerCase()}`);
}

/** How many requests are under way at once. */
const TOGETHER = 4;

/** The same for many, some at a time; all are tried, and it is said how many went well and what the first failure was. */
export async function attemptAll<T>(all: readonly T[], work: (one: T) => Promise<unknown>, done: (count: number) => string): Promise<void> {
  const queue = [...all];
  let good = 0;
  let failure: string | null = null;
  const run = async (): Promise<void> => {
    for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
      try {
        await work(one);
        good += 1;
      } catch (error) {
        failure ??= error instanceof Error ? error.message : String(error);
      }
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, run));
  toast.say(failure === null ? done(good) : `${done(good)}; ${all.length - good} failed: ${String(failure)}`, failure === null ? 2_500 : 6_000);
}
