import { afterEach, expect, test, vi } from "vitest";

vi.mock("../base", () => ({ ROOT: new URL("http://server/"), BASE: new URL("http://server/ui/") }));
const { waitAfter } = await import("./live");

afterEach(() => vi.useRealTimers());

test("waiting to connect again ends in time or at once, and leaves no listener behind", async () => {
  vi.useFakeTimers();
  const stop = new AbortController();
  const [added, removed] = [vi.spyOn(stop.signal, "addEventListener"), vi.spyOn(stop.signal, "removeEventListener")];
  for (let failures = 0; failures < 10; failures += 1) {
    const waited = waitAfter(failures, stop.signal);
    await vi.advanceTimersByTimeAsync(4_000);
    await waited;
  }
  const last = waitAfter(9, stop.signal);
  stop.abort();
  await last;
  expect(added.mock.calls.length).toBe(11);
  expect(removed.mock.calls.length).toBe(11);
  expect(vi.getTimerCount()).toBe(0);
});
