// Talking to the server: one function for each route that the page needs, and every way it can fail as a `Trouble`.
//
// The key, where the server wants one, lives in a variable of this module and nowhere else: not in the address, not in
// the browser's storage; it is gone with the tab.

import { count } from "./format.js";
import { language, say } from "./words.js";

let key = null;

/** Use this key from now on. */
export function useKey(given) {
  key = given;
}

/** Whether a key is in use. */
export function hasKey() {
  return key !== null;
}

/** What went wrong, in a sentence for a person.
 *
 * status: what the server answered, 0 when it did not; said: its own sentence; details: rows and fields with theirs;
 * after: seconds to wait, where it says so.
 */
export class Trouble extends Error {
  constructor(status, said = "", details = [], after = null) {
    super(said || String(status));
    Object.assign(this, { status, said, details, after });
  }

  /** The page's sentence; the server's own, if there is one, is more exact and stands behind it. */
  get sentence() {
    const known = [0, 400, 401, 403, 404, 408, 413, 415, 422, 429, 503];
    const first = known.includes(this.status)
      ? say(`trouble_${this.status}`)
      : say("trouble_other", { status: this.status });
    return this.after === null ? first : `${first} ${say("trouble_after", { seconds: count(this.after) })}`;
  }
}

/** The address of a route; relative, so that the page also works under a path of a larger site. */
export function address(model, route) {
  return model ? `models/${encodeURIComponent(model)}/${route}` : route;
}

async function call(route, options = {}) {
  const headers = { "Accept-Language": language(), ...options.headers }; // the server's sentences come in it too
  if (key !== null) headers["X-API-Key"] = key;
  let response;
  try {
    response = await fetch(route, { ...options, headers, credentials: "same-origin", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble(0);
  }
  if (!response.ok) throw await trouble(response);
  return response;
}

async function read(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble(0); // cut off, or of something else than our server
  }
}

async function trouble(response) {
  let said = {};
  try {
    said = await response.json();
  } catch {
    // an answer of something between us and the server: its status has to do
  }
  const wait = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  const details = Array.isArray(said?.details) ? said.details : [];
  return new Trouble(
    response.status,
    typeof said?.error === "string" ? said.error : "",
    details,
    wait >= 0 ? wait : null,
  );
}

/** What the server holds: [{name, task, system}]. */
export async function models() {
  return (await read(await call("models"))).models;
}

/** What goes into a model and what comes out. */
export async function schema(model) {
  return read(await call(address(model, "schema")));
}

/** Where a model comes from and how good it is. */
export async function card(model) {
  return read(await call(address(model, "card")));
}

/** The answers to a request of one of the inputs; `each(answer, place)` is called as they come, `piece(text)` with each
 * piece of a text that is being written. */
export async function predict(model, request, { signal, each, piece } = {}) {
  const route = address(model, "predict") + (request.drawing ? "?drawing=1" : "");
  const headers = { "Content-Type": request.type, Accept: request.streams ? "text/event-stream" : "application/json" };
  const response = await call(route, { method: "POST", headers, body: request.body, signal });
  if (request.streams && response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
    return streamed(response, each, piece);
  }
  const { predictions } = await read(response);
  predictions.forEach((answer, place) => each?.(answer, place));
  return predictions;
}

/** What decided: [{of, overlay}] for one picture. */
export async function explain(model, request, signal) {
  const route = address(model, "explain") + (request.drawing ? "?drawing=1" : "");
  const headers = { "Content-Type": request.type };
  const response = await call(route, { method: "POST", headers, body: request.body, signal });
  return (await read(response)).explanations;
}

/** Server-sent events of a POST; EventSource can only GET. */
async function streamed(response, each, piece) {
  const answers = [];
  let isWhole = false;
  for await (const { event, data } of events(response.body.pipeThrough(new TextDecoderStream()))) {
    if (event === "end") isWhole = true;
    else if (event === "piece") piece?.(JSON.parse(data).text);
    else if (event === "error") throw new Trouble(503, JSON.parse(data)?.error ?? "");
    else {
      answers.push(JSON.parse(data));
      each?.(answers.at(-1), answers.length - 1);
    }
  }
  if (!isWhole) throw new Trouble(0); // cut off between: not all that was asked for
  return answers;
}

async function* events(stream) {
  const reader = stream.getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text = (text + value).replaceAll("\r\n", "\n");
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        const found = { event: "message", data: [] };
        for (const line of text.slice(0, end).split("\n")) {
          const [, name, rest] = /^(\w+): ?(.*)$/.exec(line) ?? [];
          if (name === "event") found.event = rest;
          if (name === "data") found.data.push(rest);
        }
        text = text.slice(end + 2);
        if (found.data.length || found.event !== "message") yield { event: found.event, data: found.data.join("\n") };
      }
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble(0);
  } finally {
    reader.cancel().catch(() => {}); // the server need not go on for nobody
  }
}
