/** Who one is. */
import type { Scope } from "./account";
import { call } from "./own";

export interface Me {
  /** Whether anybody is asked who they are. */
  authentication: boolean;
  /** Whether one can log in at an issuer. */
  oidc: boolean;
  user: string;
  via: "anonymous" | "local" | "password" | "token" | "session" | "certificate";
  scopes: Scope[];
  /** Whether there is a password here that one can change. */
  password: boolean;
  /** What is shown with each change. */
  csrf: string | null;
}

export const me = (): Promise<Me> => call("auth/me", {});
