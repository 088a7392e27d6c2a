/**
 * The one place that fetches. A request ends in data or in an `ApiError` that says what failed and whether it is worth
 * trying again; an aborted request ends in the browser's `AbortError`.
 */
import { ROOT } from "../base";
import type { Envelope } from "./types";

/** `unreachable`: no answer came. `refused`: the request is at fault. `failed`: the server is. */
export type ErrorKind = "unreachable" | "refused" | "failed";

export class ApiError extends Error {
  constructor(
    readonly kind: ErrorKind,
    message: string,
  ) {
    super(message);
  }
}

export interface Answer<T> {
  data: T;
  /** Warnings and infos of the query, for a person to read. */
  notes: string[];
}

export type Params = Record<string, string | number | readonly string[]>;

/** A path below `/api/v1/`, its envelope opened. Sent as a form, so a query may be of any length. */
export async function ask<T>(path: string, params: Params, signal?: AbortSignal): Promise<Answer<T>> {
  return open<T>(await send(apiUrl(path), { method: "POST", body: encode(params), ...(signal && { signal }) }));
}

/** The same by GET, for what has no form (`/label/NAME/values`, `/metadata`). */
export async function look<T>(path: string, params: Params, signal?: AbortSignal): Promise<Answer<T>> {
  const url = apiUrl(path);
  url.search = encode(params).toString();
  return open<T>(await send(url, signal ? { signal } : {}));
}

export const apiUrl = (path: string): URL => new URL(`api/v1/${path}`, ROOT);

export function encode(params: Params): URLSearchParams {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const one of typeof value === "object" ? value : [String(value)]) form.append(name, one);
  }
  return form;
}

export async function send(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError("unreachable", "the server does not answer");
  }
}

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === "AbortError";

async function open<T>(response: Response): Promise<Answer<T>> {
  const envelope = await bodyOf<T>(response);
  if (envelope.status === "error") throw new ApiError(response.status < 500 ? "refused" : "failed", envelope.error);
  return { data: envelope.data, notes: [...(envelope.warnings ?? []), ...(envelope.infos ?? [])] };
}

async function bodyOf<T>(response: Response): Promise<Envelope<T>> {
  const text = await response.text().catch((error: unknown) => {
    if (isAbort(error)) throw error;
    throw new ApiError("unreachable", "the answer broke off");
  });
  try {
    return JSON.parse(text) as Envelope<T>;
  } catch {
    throw new ApiError(response.status < 500 ? "refused" : "failed", `the server answered ${response.status} ${response.statusText}`);
  }
}
