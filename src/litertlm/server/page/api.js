/** Requests to the server, and its errors in words. */

const KEY = "api-key";

/**
 * Why a request failed.
 * `kind`: `offline` (no connection), `key`, `busy`, `unavailable`, `missing` (no such model),
 *   `refused` or `failed`.
 * `retryAfter`: seconds, or null.
 */
export class ServerError extends Error {
  constructor(kind, message, retryAfter = null) {
    super(message);
    this.kind = kind;
    this.retryAfter = retryAfter;
  }
}

const KINDS = { 401: "key", 403: "refused", 404: "missing", 429: "busy", 503: "unavailable" };

export function apiKey() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

/** Kept until the tab is closed. */
export function setApiKey(key) {
  try {
    if (key) sessionStorage.setItem(KEY, key);
    else sessionStorage.removeItem(KEY);
  } catch {
    // Storage is blocked: there is no place for the key.
  }
}

async function request(method, path, body, signal) {
  const headers = {};
  const key = apiKey();
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    if (error instanceof TypeError && /header|ByteString|ISO-8859-1/i.test(error.message)) {
      throw new ServerError("key", "The API key has characters that a key cannot have.");
    }
    throw new ServerError(
      "offline",
      "The server does not answer. Check that `litert-lm-cli serve` is still running.",
    );
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

async function errorOf(response) {
  let message = "";
  try {
    const { error } = await response.json();
    message = typeof error === "string" ? error : String(error?.message ?? "");
  } catch {
    // Not from this server, but from something in between.
  }
  const kind = KINDS[response.status] ?? "failed";
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  if (kind === "key") message = "The server wants an API key, or another one than this.";
  return new ServerError(
    kind,
    message || `The server answered with status ${response.status}.`,
    Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), 60) : null,
  );
}

export async function getJson(path, signal) {
  return (await request("GET", path, undefined, signal)).json();
}

export async function postJson(path, body, signal) {
  return (await request("POST", path, body, signal)).json();
}

export async function deleteModel(name) {
  await request("DELETE", "api/delete", { model: name });
}

/**
 * The JSON objects of a streamed answer, one per line.
 * @throws {ServerError} also for an error in the middle, and for a connection that breaks.
 */
export async function* streamLines(path, body, signal) {
  const response = await request("POST", path, body, signal);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      let part;
      try {
        part = await reader.read();
      } catch (error) {
        if (signal?.aborted) throw error;
        throw new ServerError("offline", "The connection to the server was lost.");
      }
      if (part.done) return;
      const lines = (rest + decoder.decode(part.value, { stream: true })).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (!line.trim()) continue;
        const data = JSON.parse(line);
        if (data.error) throw new ServerError("failed", String(data.error));
        yield data;
      }
    }
  } finally {
    // Also when the caller has seen enough: the server then ends the answer.
    reader.cancel().catch(() => {});
  }
}
