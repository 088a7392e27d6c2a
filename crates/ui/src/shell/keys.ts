/** The keys that work on every page, from key presses to commands. Knows no page: it reads the list of routes. */
import { ROUTES } from "../routes";

export type Command =
  | { do: "open"; path: string }
  | { do: "palette" | "help" | "time" | "live" | "theme" }
  | { do: "shift"; direction: -1 | 1 }
  | { do: "scale"; factor: number };

/** How long `g` waits for its second key. */
const SEQUENCE_MS = 1200;

/** Joins `g` and the key after it. */
export class KeySequence {
  #first_at = -Infinity;

  take(event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "timeStamp">): string {
    const key = event.ctrlKey || event.metaKey ? `ctrl ${event.key.toLowerCase()}` : event.altKey ? "" : event.key;
    const follows = event.timeStamp - this.#first_at < SEQUENCE_MS;
    this.#first_at = key === "g" && !follows ? event.timeStamp : -Infinity;
    return follows ? `g ${key}` : key;
  }
}

/** While a person types, only the combinations with Ctrl count. */
export function commandOf(keys: string, typing: boolean): Command | null {
  if (keys === "ctrl k" || keys === "g ctrl k") return { do: "palette" };
  if (typing) return null;
  const route = ROUTES.find((one) => one.key !== undefined && keys === `g ${one.key}`);
  if (route !== undefined) return { do: "open", path: route.path };
  switch (keys) {
    case "/":
      return { do: "palette" };
    case "?":
      return { do: "help" };
    case "t":
      return { do: "time" };
    case "l":
      return { do: "live" };
    case "n":
      return { do: "theme" };
    case "[":
      return { do: "shift", direction: -1 };
    case "]":
      return { do: "shift", direction: 1 };
    case "+":
    case "=":
      return { do: "scale", factor: 0.5 };
    case "-":
      return { do: "scale", factor: 2 };
    default:
      return null;
  }
}

export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.closest("input, textarea, select, dialog, [data-typing]") !== null;
}
