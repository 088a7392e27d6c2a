import { expect, test } from "vitest";
import { frameOf } from "../charts/frame";
import { curlLine, frameCsv, rowsCsv } from "./export";

test("a chart as CSV: gaps are empty, names are quoted where they must be", () => {
  const frame = frameOf([{ labels: { __name__: "up", job: "a" }, samples: [[0, "1"]] }], 0, 1, 1);
  expect(frameCsv(frame)).toBe('time,"up{job=""a""}"\r\n1970-01-01T00:00:00Z,1\r\n1970-01-01T00:00:01Z,\r\n');
});

test("a table as CSV: a column for every label that occurs", () => {
  expect(rowsCsv([{ labels: { b: "x,y" }, at: 0, value: NaN }, { labels: { a: "1" }, at: 1, value: 2 }])).toBe(
    'a,b,time,value\r\n,"x,y",1970-01-01T00:00:00Z,NaN\r\n1,,1970-01-01T00:00:01Z,2\r\n',
  );
});

test("a command that a shell takes as it is", () => {
  expect(curlLine("http://h/api", { query: "up{a='b'}", step: 5 })).toBe("curl -s http://h/api --data-urlencode 'query=up{a='\\''b'\\''}' --data-urlencode step=5");
});
