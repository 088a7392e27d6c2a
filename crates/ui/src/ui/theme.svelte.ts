/** Day or night: the system's until a person chooses; the choice is kept by the browser. */
export type Choice = "system" | "day" | "night";

const KEY = "barograph.theme";

class Theme {
  choice = $state<Choice>("system");
  #system_is_night = $state(false);
  readonly night = $derived(this.choice === "system" ? this.#system_is_night : this.choice === "night");

  constructor() {
    const query = matchMedia("(prefers-color-scheme: dark)");
    this.#system_is_night = query.matches;
    query.addEventListener("change", (event) => (this.#system_is_night = event.matches));
    const stored = document.documentElement.dataset.theme;
    if (stored === "day" || stored === "night") this.choice = stored;
  }

  choose(choice: Choice): void {
    this.choice = choice;
    if (choice === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
    remember(KEY, choice === "system" ? null : choice);
  }

  /** System, day, night, and round again. */
  next(): void {
    this.choose(this.choice === "system" ? "day" : this.choice === "day" ? "night" : "system");
  }
}

/** Keeps a preference in the browser; where storage is forbidden it lasts until the page is left. */
export function remember(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // Nothing to do: the choice holds for this page.
  }
}

export function recalled(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export const theme = new Theme();
