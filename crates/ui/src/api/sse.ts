/**
 * The text of a server-sent event stream, cut into events (WHATWG HTML, "Server-sent events"). Pure: chunks in, events out.
 *
 * The browser's own `EventSource` is not used because it cannot say where to resume on its first connection, and cannot tell
 * a silent connection from a dead one.
 */
export interface ServerEvent {
  name: string;
  data: string;
  /** The last id seen so far, of this event or an earlier one. */
  id: string;
}

export class EventReader {
  #rest = "";
  #name = "";
  #data: string[] = [];
  #id = "";

  /** Takes the next piece of text, answers the events that it completes. */
  push(text: string): ServerEvent[] {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.#line(line));
  }

  #line(line: string): ServerEvent[] {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#name = value;
    else if (field === "data") this.#data.push(value);
    else if (field === "id") this.#id = value;
    return [];
  }

  #dispatch(): ServerEvent[] {
    const event = { name: this.#name === "" ? "message" : this.#name, data: this.#data.join("\n"), id: this.#id };
    this.#name = "";
    this.#data = [];
    return event.data === "" ? [] : [event];
  }
}
