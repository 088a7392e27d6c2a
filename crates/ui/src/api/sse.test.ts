import { expect, test } from "vitest";
import { EventReader } from "./sse";

const STREAM = 'event: hello\ndata: {"now":1}\n\n: a comment\nevent: points\nid: 1000\ndata: a\ndata: b\n\ndata: c\n\n';
const EVENTS = [
  { name: "hello", data: '{"now":1}', id: "" },
  { name: "points", data: "a\nb", id: "1000" },
  { name: "message", data: "c", id: "1000" },
];

test("events are the same however the stream is cut", () => {
  for (let size = 1; size <= STREAM.length; size += 1) {
    const reader = new EventReader();
    const events = [];
    for (let at = 0; at < STREAM.length; at += size) events.push(...reader.push(STREAM.slice(at, at + size)));
    expect(events).toEqual(EVENTS);
  }
});

test("other line ends, and an event without data", () => {
  expect(new EventReader().push("id: 5\r\n\r\ndata:x\r\n\r\n")).toEqual([{ name: "message", data: "x", id: "5" }]);
});
