/**
 * Calls to /api/v1/ with the browser's session. One place knows CSRF, time-outs and problem details.
 *
 * @typedef {{ok: boolean, status: number, body: any}} Answer
 */

/** On window: the server says that this session is locked. */
export const LOCKED = "robotctl-session-locked";

/** The server could not be asked, or did not answer in time. `sent`: the request may have reached it. */
export class NoAnswer extends Error {
  /** @param {string} message @param {boolean} sent */
  constructor(message, sent) {
    super(message);
    this.sent = sent;
  }
}

/**
 * @param {"GET"|"POST"|"DELETE"} method
 * @param {string} path below /api/v1/
 * @param {{body?: Object, timeoutMs?: number, headers?: Object<string, string>, keepalive?: boolean}} [options]
 * @returns {Promise<Answer>}
 */
export async function call(method, path, { body, timeoutMs = 10_000, headers = {}, keepalive = false } = {}) {
  const began = Date.now();
  try {
    const response = await fetch(`/api/v1/${path}`, {
      method,
      headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": csrf(), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      keepalive, // goes out although the page is being closed
      signal: AbortSignal.timeout(timeoutMs),
    });
    const answer = { ok: response.ok, status: response.status, body: await json(response) };
    if (answer.body?.code === "session_locked") dispatchEvent(new Event(LOCKED));
    return answer;
  } catch (error) {
    const late = error.name === "TimeoutError";
    throw new NoAnswer(late ? "The server does not answer." : "The server cannot be reached.", late || Date.now() - began > 500);
  }
}

async function json(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error instanceof SyntaxError) return null; // a proxy's page, not ours
    throw error;
  }
}

/** The newest token: signing in again in another tab changes the cookie, not this page. */
function csrf() {
  const cookie = document.cookie.split("; ").find((one) => one.startsWith("csrftoken="));
  return cookie ? cookie.slice("csrftoken=".length) : (document.querySelector('meta[name="csrf-token"]')?.content ?? "");
}

/** What went wrong, in words. @param {Answer} answer */
export function words(answer) {
  if (answer.status === 401) return "You are signed out.";
  return answer.body?.detail ?? `The server answered ${answer.status}.`;
}

/** A key that makes a repeated request the same request. Also where `crypto.randomUUID` is missing (plain http). */
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
