/** How the last reload of the configuration went. */
import { call } from "./own";

export interface ReloadState {
  successful: boolean;
  running_since: string | null;
  failed_at: string | null;
  error: string | null;
  /** Paths of settings that wait for the next start. */
  needs_restart: string[];
}

export const reloadState = (init: RequestInit): Promise<ReloadState> => call<ReloadState>("config/reload", init);
