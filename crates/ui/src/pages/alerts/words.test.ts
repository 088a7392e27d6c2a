import { expect, test } from "vitest";
import type { Alert } from "../../api/alerts";
import { askedText, conditionOf, durationText, heldText, holder, labelsText, matchersFor, matcherText, meetAll, previewText, readMatcher, readMatchers, reasonText, saidBy, sharedOf, since, statusText, typedDuration, until } from "./words";

test("a comparison with a number is cut in two, and nothing else is", () => {
  const check = (expr: string, expected: [string, string, number] | null) => {
    const found = conditionOf(expr);
    expect(found && [found.watched, found.operator, found.threshold], expr).toEqual(expected);
  };
  check("up == 0", ["up", "==", 0]);
  check("rate(x[5m]) > 1.5e3", ["rate(x[5m])", ">", 1500]);
  check('sum by (job) (x{a="b > 2"}) >= bool 1', ['sum by (job) (x{a="b > 2"})', ">=", 1]);
  check("a / b < -0.5", ["a / b", "<", -0.5]);
  check("a > 1 and b < 2", null);
  check("a > 1 > 2", null);
  check("(a > 1", null);
  check("absent(up)", null);
  check("a > b", null);
});

test("matchers are read and written", () => {
  for (const text of ['job="api"', 'job!="api"', 'host=~"a|b"', 'host!~"web-\\\\d+"']) expect(matcherText(readMatcher(text) ?? { name: "", value: "", isRegex: false, isEqual: true })).toBe(text);
  expect(readMatcher("job = api")).toEqual({ name: "job", value: "api", isRegex: false, isEqual: true });
  expect(readMatcher("job")).toBeNull();
  expect(readMatchers('{job="a,b", severity=critical}')?.map(matcherText)).toEqual(['job="a,b"', 'severity="critical"']);
  expect(readMatchers("job=a, nonsense")).toBeNull();
  expect(readMatchers("")).toEqual([]);
});

test("a silence of several alerts is for what they share", () => {
  const sets = [{ alertname: "Slow", host: "a", job: "api" }, { alertname: "Slow", host: "b", job: "api" }];
  expect(matchersFor(sets).map(matcherText)).toEqual(['alertname="Slow"', 'job="api"']);
  expect(matchersFor([])).toEqual([]);
});

test("times and durations as people say them", () => {
  expect(since("1970-01-01T00:00:00Z", 125)).toBe("2\u00a0m 5\u00a0s");
  expect(since(null, 5)).toBe("–");
  expect(until("1970-01-01T00:01:00Z", 0)).toBe("in 1\u00a0m");
  expect(until("1970-01-01T00:01:00Z", 90)).toBe("now");
  expect([durationText("5m"), durationText(300), durationText(0), durationText(null)]).toEqual(["5m", "5m", "", ""]);
  expect([typedDuration("1h30m"), typedDuration("0s"), typedDuration("soon")]).toEqual([5400, null, null]);
});

test("who has it, and what tells an alert from its neighbours", () => {
  const ack = { alert_id: "1", acknowledged_by: "ann", ack_message: "", auto_ack: false, timestamp: "" };
  expect(holder({ state: "open", ack: null, assignee: null })).toBe("nobody has it");
  expect(holder({ state: "acknowledged", ack, assignee: null })).toBe("ann has it");
  expect(labelsText({ alertname: "A", severity: "info", job: "x", host: "b" }, { job: "x" })).toBe("host=b");
});

test("what a receiver gets, channel by channel", () => {
  const channels = [{ kind: "email", target: "a@b", words: { subject: "S", text: "T", html: "" } }, { kind: "webhook", target: "https://x/…", words: { a: 1 } }, { kind: "slack", target: "#c", error: "the template has no end" }];
  expect(previewText({ channels })).toBe('email a@b\n\nS\n\nT\n\n\nwebhook https://x/…\n\n{\n  "a": 1\n}\n\n\nslack #c\n\nthe template has no end');
  expect(previewText({ channels: [] })).toContain("no channel");
});

test("an incident speaks in the words of its worst alert that fires", () => {
  const alert = (severity: string, message: string, state = "firing") => ({ severity, message, state, annotations: {} }) as unknown as Alert;
  expect(saidBy([alert("info", "slow"), alert("critical", "down"), alert("critical", "down"), alert("critical", "gone", "resolved")])).toEqual({ text: "down", others: 1 });
  expect(saidBy([alert("warning", "", "resolved")])).toEqual({ text: "", others: 0 });
});

test("an escalation says whom it asked, and why", () => {
  expect(askedText({ level: 2, escalated_to: ["user:bo", "receiver:managers", "channel:sms"] })).toBe("Level 2: bo, managers, channel:sms");
  expect(askedText({ level: 3, escalated_to: ["receiver:all"], nobody_on_call: ["nights"], without_receiver: ["cy"] })).toBe("Level 3: all, as nobody is on call by nights, as cy has no receiver");
  for (const none of [null, undefined, {}, { escalated_to: "x" }]) expect(askedText(none)).toBe("");
});

test("what all labels share, and what answered", () => {
  expect(sharedOf([{ a: "1", b: "2" }, { a: "1", b: "3" }])).toEqual({ a: "1" });
  expect(sharedOf([])).toEqual({});
  expect([statusText("email", 250), statusText("webhook", 200), statusText("sms", null), reasonText("group"), reasonText("test")]).toEqual(["SMTP 250", "HTTP 200", "", "firing", "test"]);
});

test("a condition that everything meets is known", () => {
  const matcher = (value: string, isRegex = false, isEqual = true) => ({ name: "job", value, isRegex, isEqual });
  for (const all of [[], [matcher("")], [matcher(".*", true)], [matcher(""), matcher(".*", true)]]) expect(meetAll(all)).toBe(true);
  for (const some of [[matcher("api")], [matcher("", false, false)], [matcher("api.*", true)], [matcher(""), matcher("api")]]) expect(meetAll(some)).toBe(false);
});

test("what held firings back is a sentence", () => {
  const held = { by: "silence", id: "s1", about: "known", firings: 3, untold: 3 } as const;
  expect(heldText(held)).toBe("A silence (known) held back 3 firings; nobody was told.");
  expect(heldText({ ...held, by: "interval", about: "", firings: 1, untold: 0 })).toBe("The time interval (s1) held back 1 firing; somebody was told of each all the same.");
  expect(heldText({ ...held, untold: 1 })).toContain("nobody was told of 1 of them");
});
