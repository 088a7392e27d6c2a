import { expect, test } from "vitest";
import { leadOf } from "./alertmanager";

test("links of Alertmanager's templates lead to the page that answers the same", () => {
  const check = (hash: string, path: string | null, params: Record<string, string> = {}) => expect(leadOf(hash), hash).toEqual(path === null ? null : { path, params });
  check("#/alerts?receiver=web-team", "alerts", { receiver: "web-team" });
  check("#/alerts?silenced=false&filter=%7Balertname%3D%22Down%22%7D", "alerts", { filter: 'alertname="Down"' });
  check("#/silences", "alerts/silences");
  check("#/silences/new?filter=%7Bjob%3D%22api%22%2Cenv%3D~%22p.%2A%22%7D", "alerts/silences", { new: 'job="api",env=~"p.*"' });
  check("#/silences/new", "alerts/silences", { new: "" });
  check("#/silences/5a1c-1", "alerts/silences", { silence: "5a1c-1" });
  check("#/silences/%E0%A4%A", "alerts/silences", { silence: "%E0%A4%A" });
  check("#/status", "alerts/receivers");
  for (const none of ["", "#", "#content", "#/nothing", "#/alertsx"]) check(none, null);
});
