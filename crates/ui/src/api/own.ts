/** Our own API: plain JSON in and out, and errors as `application/problem+json`. */
import { ROOT } from "../base";
import { ApiError, encode, isAbort, send, type Params } from "./client";

export const ownUrl = (path: string): URL => new URL(`api/barograph/v1/${path}`, ROOT);

/** The answer to a request below `/api/barograph/v1/`. */
export const call = <T>(path: string, init: RequestInit, params: Params = {}): Promise<T> => callAt<T>(ownUrl(path), init, params);

/** The same at any address of the server. */
export async function callAt<T>(url: URL, init: RequestInit, params: Params = {}): Promise<T> {
  url.search = encode(params).toString();
  const response = await send(url, init);
  const document = await response.json().catch((error: unknown) => {
    if (isAbort(error)) throw error;
    return {};
  });
  if (response.ok) return document as T;
  const problem = document as { detail?: string; path?: string };
  throw new ApiError(response.status < 500 ? "refused" : "failed", problem.detail ?? `the server answered ${response.status}`, problem.path ?? null, response.status);
}
