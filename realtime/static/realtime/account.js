/** The account page: password, second factor, sessions. Everything goes over the API; what was refused is told at its field. */
import { call, NoAnswer, words } from "./api.js";
import { data, make, part, text } from "./dom.js";
import { plain, start } from "./page.js";
import { Stops } from "./stop.js";

const byId = (id) => document.getElementById(id);
const duty = data("boot").duty;
const NOT_SENT = ["again", "username"]; // compared here; for the browser's password manager

// With a duty open there is no socket for this person; STOP needs none.
if (duty) {
  plain();
  new Stops();
} else {
  start({ topics: [] });
}

/** @returns {Promise<import("./api.js").Answer>} an answer also when there was none */
async function ask(method, path, body) {
  try {
    return await call(method, path, { body });
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    return { ok: false, status: 0, body: { detail: error.message } };
  }
}

// --- forms -----------------------------------------------------------------------------------------------------------
/** Send a form; on success `done(answer)`. @param {string} id */
function form(id, method, path, done, check = () => ({})) {
  const element = byId(id);
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = Object.fromEntries(new FormData(element));
    const wrong = check(body);
    const button = element.querySelector("button[type=submit]");
    tell(element, wrong, "");
    if (Object.keys(wrong).length) return;
    button.disabled = true;
    for (const name of NOT_SENT) delete body[name]; // the server takes no field that it does not know
    const answer = await ask(method, path, body);
    button.disabled = false;
    const errors = answer.body?.errors ?? {};
    tell(element, errors, answer.ok || Object.keys(errors).length ? "" : words(answer));
    if (answer.ok) done(answer, element);
  });
}

function tell(element, errors, outcome) {
  for (const line of element.querySelectorAll("[data-error]")) {
    const name = line.dataset.error;
    text(line, (errors[name] ?? []).concat().join(" "));
    element.elements[name]?.setAttribute("aria-invalid", String(Boolean(errors[name])));
  }
  text(element.querySelector("[data-outcome]"), outcome);
  element.querySelector('[aria-invalid="true"]')?.focus();
}

form(
  "password-form", "POST", "auth/password/",
  () => (location.href = "/account/?changed=1"), // the session has another key now: a new page, a new socket
  (body) => (body.new_password === body.again ? {} : { again: ["This is not the same."] }),
);

// --- the second factor -----------------------------------------------------------------------------------------------
const parts = ["factor-off", "factor-new", "factor-codes", "factor-on"];

function showFactor(shown, words_) {
  for (const id of parts) byId(id).hidden = id !== shown;
  if (words_ !== undefined) text(byId("factor-status"), words_);
}

async function factor() {
  const answer = await ask("GET", "auth/mfa/");
  if (!answer.ok) return showFactor("", words(answer));
  const { enabled, required, recovery_codes_left: left } = answer.body;
  if (enabled) return showFactor("factor-on", `It is on. ${left} recovery codes are left.`);
  return showFactor("factor-off", required ? "Your role asks for one: a code from an app on your phone." : "It is off. With it, a stolen password alone opens nothing.");
}

form("factor-begin", "POST", "auth/mfa/", (answer, element) => {
  element.reset();
  const drawn = new DOMParser().parseFromString(answer.body.qr_svg, "text/html").querySelector("svg");
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", "The secret as a QR code");
  byId("factor-qr").replaceChildren(drawn);
  text(byId("factor-secret"), answer.body.secret.replace(/(.{4})(?=.)/g, "$1 "));
  showFactor("factor-new");
  byId("confirm_otp").focus();
});

form("factor-confirm", "POST", "auth/mfa/confirm/", (answer, element) => {
  element.reset();
  byId("factor-qr").replaceChildren();
  text(byId("factor-secret"), "");
  byId("recovery-codes").replaceChildren(...answer.body.recovery_codes.map((code) => make("li", {}, make("code", {}, code))));
  const { sessions, tokens } = answer.body.ended;
  showFactor("factor-codes", `It is on. Ended elsewhere: ${sessions} ${sessions === 1 ? "session" : "sessions"}, ${tokens} API ${tokens === 1 ? "token" : "tokens"}.`);
  if (!duty) showSessions();
  byId("codes-kept").focus();
});

byId("codes-kept").addEventListener("click", () => {
  byId("recovery-codes").replaceChildren();
  if (duty) location.href = "/";
  else factor();
});

form("factor-remove", "DELETE", "auth/mfa/", (answer, element) => {
  element.reset();
  if (answer.body.required) location.reload(); // and now it has to be set up again
  else factor();
});

// --- sessions --------------------------------------------------------------------------------------------------------
const when = (iso) => new Date(iso).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

async function showSessions() {
  const answer = await ask("GET", "auth/sessions/");
  text(byId("sessions-outcome"), answer.ok ? "" : words(answer));
  if (answer.ok) byId("sessions").replaceChildren(...answer.body.results.map(sessionRow));
}

function sessionRow(session) {
  const row = byId("session-template").content.cloneNode(true).firstElementChild;
  text(part(row, "browser"), session.browser);
  part(row, "browser").title = session.user_agent;
  text(part(row, "current"), session.current ? "this one" : "");
  text(part(row, "address"), session.address || "address unknown");
  for (const [name, at] of [["since", session.since], ["seen", session.last_seen]]) {
    part(row, name).dateTime = at;
    text(part(row, name), when(at));
  }
  const end = part(row, "end");
  end.hidden = session.current;
  end.setAttribute("aria-label", `End the session of ${session.browser} at ${session.address}`);
  end.addEventListener("click", async () => {
    const ended = await ask("DELETE", `auth/sessions/${session.id}/`);
    await showSessions();
    if (!ended.ok) text(byId("sessions-outcome"), words(ended));
  });
  return row;
}

if (duty !== "password_change_required") factor();
if (!duty) {
  showSessions();
  byId("sign-out-everywhere").addEventListener("click", async () => {
    const answer = await ask("POST", "auth/sign-out-everywhere/", {});
    if (answer.ok) location.href = "/sign-in/";
    else text(byId("sessions-outcome"), words(answer));
  });
}
