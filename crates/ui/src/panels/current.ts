/** The one feed of the application, and the state of all that is polled beside it: pages use them, the shell shows how they are. */
import { Polls, type Connection } from "./connection.svelte";
import { Marks } from "./marks.svelte";
import { Feed } from "./feed.svelte";

export const feed = new Feed();
export const polls = new Polls();
export const marks = new Marks();

/** How the connection is: lost as soon as either way is. */
export function connection(): Connection {
  return polls.connection.state === "off" || feed.connection.state === "lost" ? feed.connection : polls.connection;
}
