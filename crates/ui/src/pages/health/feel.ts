/** How the pages feel to whoever looks at them, from what the browser measured. Pure. */

/** Answers within this many seconds satisfy; four times as long is tolerated (Apdex). */
export const APDEX_SECONDS = 0.5;

/** Apdex of answer times in seconds, 0 to 1; `null` without any. */
export function apdex(seconds: readonly number[], target = APDEX_SECONDS): number | null {
  if (seconds.length === 0) return null;
  const satisfied = seconds.filter((one) => one <= target).length;
  const tolerated = seconds.filter((one) => one > target && one <= 4 * target).length;
  return (satisfied + tolerated / 2) / seconds.length;
}

/** The value that this share of all is not above, by nearest rank. */
export function quantile(values: readonly number[], share: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
}
