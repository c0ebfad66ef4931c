/**
 * STOP. One press fires: no dialog, never disabled. What is shown is what is known: pressed, not sent, sent, confirmed.
 *
 * A button carries `data-stop="*"` (all) or `data-stop="oht-01"`; its result goes into the elements that carry the same
 * name as `data-stop-note`. While the server is away the order is sent again every second until the server takes it;
 * then it is followed, over the socket and by asking, until each robot is confirmed stopped.
 *
 * @typedef {{status: string, elapsedS: number|null, detail: string}} Result
 * @typedef {{name: string, pressedAt: number, tries: number, trouble: string, refused: boolean,
 *            results: Map<string, Result>|null, takenAt: number, doneAt: number|null}} Order
 */
import { call, NoAnswer, words } from "./api.js";
import { flag, text } from "./dom.js";
import { StopTicket } from "./ticket.js";

const TRY_EVERY_MS = 1_000;
const ANSWER_WITHIN_MS = 5_000;
const SHOWN_FOR_MS = 30_000;
const TICK_MS = 100;
const CLOCK_SLACK_MS = 1_000;
const DOCUMENT_SLACK_MS = 100;
const OVER = ["confirmed", "reset", "left"];
const MOST_NAMES = 3;

export class Stops {
  /** @param {{live?: import("./live.js").Live|null}} [options] */
  constructor({ live = null } = {}) {
    this.live = live;
    this.ticket = new StopTicket(live);
    /** @type {Map<string, Order>} */
    this.orders = new Map();
    this.notes = new Map();
    this.firedAt = new WeakMap();
    document.addEventListener("pointerdown", (event) => this.pointer(event), true);
    document.addEventListener("keydown", (event) => this.key(event), true);
    document.addEventListener("click", (event) => this.click(event), true);
    setInterval(() => this.tick(), TICK_MS);
    queueMicrotask(() => this.catchUp());
  }

  /** What was pressed before this module was there: see early_stop.js. */
  catchUp() {
    document.removeEventListener("click", window.keepEarlyStop, true);
    for (const [button, at] of window.earlyStops ?? []) this.fire(button, at);
    window.earlyStops?.clear();
  }

  // --- the press ---------------------------------------------------------------------------------------------------
  pointer(event) {
    const button = event.target.closest?.("[data-stop]");
    if (!button || event.button !== 0) return;
    // A finger that lands on a button among tiles may want to scroll: there it fires when lifted (as a click).
    if (event.pointerType === "touch" && button.dataset.stopScrolls !== undefined) return;
    this.fire(button);
  }

  key(event) {
    const button = event.target.closest?.("[data-stop]");
    if (button && !event.repeat && (event.key === "Enter" || event.key === " ")) this.fire(button);
  }

  /** Whatever else presses a button (a finger lifted, a screen reader) comes as a click alone. */
  click(event) {
    const button = event.target.closest?.("[data-stop]");
    if (!button) return;
    event.preventDefault();
    if (Date.now() - (this.firedAt.get(button) ?? 0) > 1_000) this.fire(button);
  }

  /** @param {HTMLElement} button @param {number} [at] when it was pressed */
  fire(button, at = Date.now()) {
    this.firedAt.set(button, Date.now());
    this.press(button.dataset.stop, at);
  }

  /** @param {string} name "*" or a robot @param {number} [pressedAt] */
  press(name, pressedAt = Date.now()) {
    const order = { name, pressedAt, tries: 0, trouble: "", refused: false, results: null, takenAt: 0, doneAt: null };
    this.orders.set(name, order);
    this.show(order);
    this.send(order);
    if (name === "*") this.live?.subscribe(["fleet"]); // so that each robot's answer is seen on any page
  }

  // --- the order ---------------------------------------------------------------------------------------------------
  /** @param {Order} order */
  async send(order) {
    if (this.orders.get(order.name) !== order) return; // pressed again since: the newer one goes on
    const triedAt = Date.now();
    order.tries += 1;
    try {
      const answer = await call("POST", order.name === "*" ? "stop/" : `robots/${order.name}/stop/`, { body: {}, timeoutMs: ANSWER_WITHIN_MS, headers: this.ticket.headers });
      if (answer.ok) {
        this.taken(order, answer.body.results, triedAt);
        return;
      }
      order.trouble = answer.status === 401 ? "you are signed out" : words(answer).replace(/\.$/, "");
      order.refused = answer.status === 404 || (answer.status === 403 && !order.trouble.startsWith("CSRF"));
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      order.trouble = error.sent ? "the server does not answer" : "the server cannot be reached";
    }
    this.show(order);
    if (!order.refused) setTimeout(() => this.send(order), Math.max(0, TRY_EVERY_MS - (Date.now() - triedAt)));
  }

  /** The server has it now, and goes on by itself. @param {Order} order */
  taken(order, results, triedAt) {
    const beforeS = (triedAt - order.pressedAt) / 1000;
    order.trouble = "";
    order.takenAt = Date.now();
    order.results = new Map(
      results.map((one) => [one.robot, { status: one.status, detail: one.detail, elapsedS: one.status === "confirmed" ? beforeS + one.elapsed_ms / 1000 : null }]),
    );
    this.settle(order);
    if (order.doneAt === null) setTimeout(() => this.ask(order), TRY_EVERY_MS);
  }

  /** A robot's document has come: does it confirm an order that is open? @param {import("./truth.js").RobotDocument} doc */
  see(doc) {
    for (const order of this.orders.values()) {
      const result = order.results?.get(doc.robot);
      if (!result || result.status === "reset" || result.status === "left") continue;
      const before = result.status;
      this.compare(order, result, doc);
      if (result.status !== before || order.doneAt === null) this.settle(order);
    }
  }

  /** What was confirmed is followed as well: a note does not say "stopped" of a robot that was reset, or left its stop. */
  compare(order, result, doc) {
    const { stop } = doc;
    const aheadMs = this.live ? this.live.serverNow() - Date.now() : 0;
    const pressedAt = order.pressedAt + aheadMs;
    if (!stop.latched) {
      // A document from before the server took the order knows nothing of it.
      if (Date.parse(doc.at) > order.takenAt + aheadMs + DOCUMENT_SLACK_MS) result.status = "reset";
    } else if (stop.left_at && Date.parse(stop.left_at) > pressedAt) {
      result.status = "left";
    } else if (result.status !== "confirmed" && stop.status !== "confirmed") {
      result.status = stop.status ?? result.status;
    } else if (result.status !== "confirmed" && Date.parse(stop.confirmed_at) >= pressedAt - CLOCK_SLACK_MS) {
      result.status = "confirmed";
      result.elapsedS = Math.max(0, (Date.parse(stop.confirmed_at) - pressedAt) / 1000);
    }
  }

  /** Without a socket one asks. @param {Order} order */
  async ask(order) {
    if (order.doneAt !== null || this.orders.get(order.name) !== order) return;
    const began = Date.now();
    await Promise.all(open(order).map(([robot]) => this.askOne(robot)));
    setTimeout(() => this.ask(order), Math.max(0, TRY_EVERY_MS - (Date.now() - began)));
  }

  async askOne(robot) {
    try {
      const answer = await call("GET", `robots/${robot}/state/`, { timeoutMs: ANSWER_WITHIN_MS });
      if (answer.ok) this.see(answer.body);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error; // asked again in a second; the line says that it is not confirmed
    }
  }

  settle(order) {
    if (open(order).length === 0) order.doneAt ??= Date.now();
    const all = [...order.results.values()];
    if (all.length && all.every((result) => result.status === "reset")) this.forget(order.name);
    else this.show(order);
  }

  // --- what is shown -----------------------------------------------------------------------------------------------
  tick() {
    for (const [name, order] of this.orders) {
      if (order.doneAt !== null && Date.now() - order.doneAt > SHOWN_FOR_MS) {
        this.forget(name);
      } else if (order.doneAt === null) {
        this.show(order);
      }
    }
  }

  show(order) {
    const [words_, level] = line(order, this.live?.connected ?? true);
    this.each(order.name, (note) => {
      if (!this.notes.has(note)) this.notes.set(note, note.dataset.rest ?? note.textContent);
      text(note, words_);
      note.title = order.results === null ? "" : [...order.results].map(([robot, result]) => `${robot}: ${result.detail}`).join("\n");
      for (const one of ["is-waiting", "is-critical", "is-done"]) flag(note, one, one === `is-${level}`);
    });
    for (const button of document.querySelectorAll(`[data-stop="${CSS.escape(order.name)}"]`)) {
      flag(button, "pressed", order.doneAt === null && !order.refused);
    }
  }

  forget(name) {
    this.orders.delete(name);
    for (const button of document.querySelectorAll(`[data-stop="${CSS.escape(name)}"]`)) flag(button, "pressed", false);
    this.each(name, (note) => {
      text(note, this.notes.get(note) ?? "");
      note.title = "";
      note.classList.remove("is-waiting", "is-critical", "is-done");
    });
  }

  each(name, act) {
    for (const note of document.querySelectorAll(`[data-stop-note="${CSS.escape(name)}"]`)) act(note);
  }
}

/** The robots of an order that are not confirmed stopped. @param {Order} order */
function open(order) {
  return [...(order.results ?? [])].filter(([, result]) => !OVER.includes(result.status));
}

/**
 * @param {Order} order
 * @param {boolean} [connected] whether this page would see a confirmation
 * @returns {[string, "waiting"|"critical"|"done"]}
 */
export function line(order, connected = true) {
  const waited = `${((Date.now() - order.pressedAt) / 1000).toFixed(1)} s`;
  if (order.refused) return [`■ NOT STOPPED · ${order.trouble}`, "critical"];
  if (order.trouble) return [`■ NOT CONFIRMED · ${order.trouble} · trying again · ${waited}`, "critical"];
  if (order.results === null) return [`stopping … ${waited}`, "waiting"];
  const unconfirmed = open(order);
  if (unconfirmed.length) return [`■ ${names(order, unconfirmed)} · ${connected ? "trying again" : "no connection, asking again"} · ${waited}`, "critical"];
  const all = [...order.results.values()];
  if (all.length === 0) return ["there is no robot to stop", "done"];
  const left = [...order.results].filter(([, result]) => result.status === "left").map(([robot]) => robot);
  if (left.length) return [`■ ${left.slice(0, MOST_NAMES).join(", ")} left the stop without a reset`, "critical"];
  const confirmed = all.filter((result) => result.status === "confirmed");
  if (confirmed.length < all.length) return [`${confirmed.length} of ${all.length} confirmed stopped · the rest was reset`, "done"];
  const slowest = Math.max(...all.map((result) => result.elapsedS ?? 0)).toFixed(2);
  return [`✓ ${order.name === "*" ? `${all.length} of ${all.length} ` : ""}confirmed stopped · ${slowest} s`, "done"];
}

function names(order, unconfirmed) {
  const sent = unconfirmed.every(([, result]) => result.status === "sent");
  const what = sent ? "sent, not yet read as stopped" : "NOT CONFIRMED";
  if (order.name !== "*") return what;
  const some = unconfirmed.slice(0, MOST_NAMES).map(([robot]) => robot).join(", ");
  return unconfirmed.length > MOST_NAMES ? `${unconfirmed.length} of ${order.results.size} ${what} (${some} …)` : `${some} ${what}`;
}
