/** What the pages of accounts ask for. */
import type { Me } from "./me";
import { call } from "./own";

export const SCOPES = ["read", "write", "alert-ack", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

/** Milliseconds since the epoch. */
type Time = number;

export interface Token {
  id: string;
  name: string;
  owner: string | null;
  scopes: Scope[];
  created: Time;
  expires: Time | null;
  expired: boolean;
  used: Time | null;
}

export interface User {
  name: string;
  roles: Scope[];
  created: Time | null;
  source: "configuration" | "stored";
}

export interface Session {
  id: string;
  user: string;
  address: string;
  agent: string;
  began_ms: Time;
  used_ms: Time;
  current: boolean;
}

export interface AuditRecord {
  time_ms: Time;
  user: string;
  via: string;
  token?: string;
  address: string;
  action: string;
  object: string;
  outcome: "done" | "refused" | "failed";
  detail?: string;
}

const json = (method: string, document: unknown): RequestInit => ({ method, headers: { "content-type": "application/json" }, body: JSON.stringify(document) });

export const logIn = (user: string, password: string): Promise<Me> => call("auth/login", json("POST", { user, password }));
export const logOut = (): Promise<unknown> => call("auth/logout", { method: "POST" });
export const changePassword = (current: string, next: string): Promise<unknown> => call("auth/password", json("POST", { current, new: next }));

export const tokens = (signal: AbortSignal): Promise<{ tokens: Token[] }> => call("auth/tokens", { signal });
export const makeToken = (wanted: { name: string; scopes: Scope[]; expires_in?: number; service?: boolean }): Promise<Token & { token: string }> => call("auth/tokens", json("POST", wanted));
export const revokeToken = (id: string): Promise<unknown> => call(`auth/tokens/${encodeURIComponent(id)}`, { method: "DELETE" });

export const users = (signal: AbortSignal): Promise<{ users: User[] }> => call("auth/users", { signal });
export const addUser = (user: { name: string; password: string; roles: Scope[] }): Promise<User> => call("auth/users", json("POST", user));
export const removeUser = (name: string): Promise<unknown> => call(`auth/users/${encodeURIComponent(name)}`, { method: "DELETE" });

export const sessions = (signal: AbortSignal, all: boolean): Promise<{ sessions: Session[] }> => call("auth/sessions", { signal }, all ? { all: "true" } : {});
export const endSession = (id: string): Promise<unknown> => call(`auth/sessions/${encodeURIComponent(id)}`, { method: "DELETE" });

export const audit = (signal: AbortSignal): Promise<{ enabled: boolean; records: AuditRecord[] }> => call("audit", { signal }, { limit: 500 });
