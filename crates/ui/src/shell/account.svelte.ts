/** Who one is, asked once when the pages are opened; and the way to the login when the server does not know any more. */
import { guard } from "../api/client";
import { me, type Me } from "../api/me";
import { BASE, ROOT } from "../base";

class Account {
  /** `null` until the server said. */
  me = $state.raw<Me | null>(null);

  constructor() {
    guard.lost = () => {
      // Whoever may look without a login, or shows something with each request, only may not do this one thing.
      const known = this.me;
      if (known !== null && known.via !== "session" && known.scopes.length > 0) return;
      this.toLogin();
    };
  }

  load(): void {
    guard.known = this.#load();
  }

  async #load(): Promise<void> {
    try {
      const found = await me();
      if (found !== null) this.take(found);
    } catch {
      // A server that does not answer is told by the banner; one that knows no accounts has none.
    }
  }

  take(me: Me): void {
    this.me = me;
    guard.csrf = me.csrf;
  }

  toLogin(): void {
    const login = new URL("login", BASE);
    if (location.pathname === login.pathname) return;
    login.searchParams.set("next", `/${location.pathname.slice(ROOT.pathname.length)}${location.search}`);
    location.assign(login);
  }
}

export const account = new Account();
