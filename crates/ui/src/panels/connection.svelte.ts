/** How the connection to the server is, as the banner and the live switch tell it. */
export type Connection = { state: "off" } | { state: "joining" } | { state: "live" } | { state: "lost"; since: number; reason: string } | { state: "regained" };

/** How long it is said that the connection is there again. */
export const REGAINED_MS = 2500;

/** The connection of pages that ask again and again: lost with the first request that nobody answers, there with the next. */
export class Polls {
  connection = $state.raw<Connection>({ state: "off" });
  #following = 0;
  #regained: ReturnType<typeof setTimeout> | undefined;

  joined(): void {
    this.#following += 1;
  }

  left(): void {
    this.#following -= 1;
    if (this.#following === 0) this.#is({ state: "off" });
  }

  lost(reason: string): void {
    if (this.connection.state !== "lost") this.#is({ state: "lost", since: Date.now(), reason });
  }

  answered(): void {
    if (this.connection.state !== "lost") return;
    this.#is({ state: "regained" });
    this.#regained = setTimeout(() => (this.connection = { state: "off" }), REGAINED_MS);
  }

  #is(connection: Connection): void {
    clearTimeout(this.#regained);
    this.connection = connection;
  }
}
