/** Who one is. */
import type { Scope } from "./account";
import { ROOT } from "../base";
import { send } from "./client";

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

/** `null` of a server that does not tell. */
export async function me(): Promise<Me | null> {
  const response = await send(new URL("api/barograph/v1/auth/me", ROOT), {});
  return response.ok ? ((await response.json()) as Me) : null;
}
