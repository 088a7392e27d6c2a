/**
 * Links to Alertmanager's pages, as templates of notices have them (`{{ .ExternalURL }}/#/alerts?receiver=…`): the page here
 * that answers the same. Pure.
 */

export interface Lead {
  path: string;
  params: Readonly<Record<string, string>>;
}

const BRACES = /^\{(.*)\}$/s;

/** `null` of what is no such link. */
export function leadOf(hash: string): Lead | null {
  const found = /^#\/(alerts|silences|status)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(hash);
  if (found === null) return null;
  const [, page, rest = "", query = ""] = found;
  const given = new URLSearchParams(query);
  const filter = (given.get("filter") ?? "").trim().replace(BRACES, "$1");
  const receiver = given.get("receiver") ?? "";
  switch (page) {
    case "alerts":
      return { path: "alerts", params: { ...(filter !== "" && { filter }), ...(receiver !== "" && { receiver }) } };
    case "silences":
      if (rest === "new") return { path: "alerts/silences", params: { new: filter } };
      return { path: "alerts/silences", params: rest === "" ? {} : { silence: decoded(rest) } };
    default:
      return { path: "alerts/receivers", params: {} };
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
