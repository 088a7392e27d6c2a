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
    /** The place of the mistake in a JSON document: `query.aggregations[0].window`. */
    readonly path: string | null = null,
    /** The HTTP status of our own API's answer. */
    readonly status: number | null = null,
  ) {
    super(message);
  }
}

export interface Answer<T> {
  data: T;
  /** Warnings and infos of the query, for a person to read. */
  notes: string[];
  provenance: Provenance;
}

/** Where an answer came from and what it cost, as far as is known. */
export interface Provenance {
  tier: string | null;
  /** Why that tier. */
  reason: string | null;
  cached: boolean | null;
  /** Samples read. */
  samples: number | null;
  /** By the server's clock, or, where it does not say, until the whole answer was here. */
  took_ms: number;
}

export type Params = Record<string, string | number | readonly string[]>;

/** A path below `/api/v1/`, its envelope opened. Sent as a form, so a query may be of any length. */
export async function ask<T>(path: string, params: Params, signal?: AbortSignal): Promise<Answer<T>> {
  return open<T>(apiUrl(path), { method: "POST", body: encode(params), ...(signal && { signal }) });
}

/** The same by GET, for what has no form (`/label/NAME/values`, `/metadata`). */
export async function look<T>(path: string, params: Params, signal?: AbortSignal): Promise<Answer<T>> {
  const url = apiUrl(path);
  url.search = encode(params).toString();
  return open<T>(url, signal ? { signal } : {});
}

export const apiUrl = (path: string): URL => new URL(`api/v1/${path}`, ROOT);

export function encode(params: Params): URLSearchParams {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const one of typeof value === "object" ? value : [String(value)]) form.append(name, one);
  }
  return form;
}

/** What changes are shown with, when that is known, and what is done when the server does not know any more who asks. */
export const guard: { csrf: string | null; known: Promise<void>; lost: () => void } = { csrf: null, known: Promise.resolve(), lost: () => undefined };

export async function send(url: URL, init: RequestInit): Promise<Response> {
  // All but looking is shown with what is learned first.
  if (init.method !== undefined && init.method !== "GET") await guard.known;
  try {
    const response = await fetch(url, guarded(init));
    if (response.status === 401 && !url.pathname.endsWith("/auth/login")) guard.lost();
    return response;
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError("unreachable", "the server does not answer");
  }
}

/** All but looking is shown with what only our own pages can read. */
function guarded(init: RequestInit): RequestInit {
  if (guard.csrf === null || init.method === undefined || init.method === "GET") return init;
  const headers = new Headers(init.headers);
  headers.set("x-csrf-token", guard.csrf);
  return { ...init, headers };
}

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === "AbortError";

async function open<T>(url: URL, init: RequestInit): Promise<Answer<T>> {
  const asked_at = performance.now();
  const response = await send(url, init);
  const envelope = await bodyOf<T>(response);
  if (envelope.status === "error") throw new ApiError(response.status < 500 ? "refused" : "failed", envelope.error);
  const samples = response.headers.get("x-barograph-samples");
  const provenance = {
    tier: response.headers.get("x-barograph-tier"),
    reason: null,
    cached: cachedOf(response.headers.get("x-barograph-cache")),
    samples: samples === null ? null : Number(samples),
    took_ms: performance.now() - asked_at,
  };
  return { data: envelope.data, notes: [...(envelope.warnings ?? []), ...(envelope.infos ?? [])], provenance };
}

/** `hit` and `partial` reused what was computed before; without the header nobody tried. */
const cachedOf = (header: string | null): boolean | null => (header === null ? null : header !== "miss");

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
