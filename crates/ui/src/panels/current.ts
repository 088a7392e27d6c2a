/** The one feed of the application: pages set its window, panels join it, the shell shows how its connection is. */
import { Feed } from "./feed.svelte";

export const feed = new Feed();
