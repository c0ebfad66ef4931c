/**
 * The lock of a page that nobody touches. The server decides, for all tabs of the session; the page covers its content (what the panel's
 * `data-covers` selects) and keeps the bar: the connection's truth and STOP. A key, a pointer or a touch is told to the server at most once a minute.
 */
import { call, LOCKED, NoAnswer, words } from "./api.js";

const TELL_EVERY_MS = 60_000;
const ASK_AGAIN_MS = 10_000;
const SLACK_MS = 500;
const SIGNS = ["keydown", "pointerdown", "pointermove", "touchstart", "wheel"];
/** On window, when the page is locked: whatever is held is let go. */
export const LET_GO = "robotctl-locked";

export class Lock {
  constructor() {
    this.panel = document.getElementById("lock");
    this.password = document.getElementById("lock-password");
    this.trouble = document.getElementById("lock-trouble");
    this.slot = document.getElementById("lock-stop");
    /** This robot's STOP, the one there is; it moves into the panel and back. */
    this.stop = document.querySelector("main .robot-stop");
    this.home = document.createComment("its place");
    this.stop?.before(this.home);
    this.locked = !this.panel.hidden;
    this.afterMs = Infinity;
    this.touchedAt = Date.now();
    this.toldAt = 0;
    this.timer = 0;
    this.tabs = "BroadcastChannel" in window ? new BroadcastChannel("robotctl.lock") : null;
    this.tabs?.addEventListener("message", () => this.ask());
    for (const sign of SIGNS) addEventListener(sign, () => this.touched(), { capture: true, passive: true });
    addEventListener(LOCKED, () => this.lock());
    addEventListener("focus", () => this.ask());
    document.addEventListener("visibilitychange", () => document.hidden || this.ask());
    document.getElementById("lock-form").addEventListener("submit", (event) => this.unlock(event));
    this.ask();
    if (this.locked) this.password.focus();
  }

  /** Somebody is there. */
  touched() {
    const idleMs = Date.now() - this.touchedAt;
    this.touchedAt = Date.now();
    if (this.locked) return;
    if (idleMs > this.afterMs) this.ask(); // after a sleep: another tab may have been in use
    else if (Date.now() - this.toldAt > Math.min(TELL_EVERY_MS, this.afterMs / 10)) this.tell();
  }

  async tell() {
    this.toldAt = Date.now();
    await this.hear("POST");
  }

  /** Is it locked, and when will it be? */
  async ask() {
    await this.hear("GET");
  }

  async hear(method) {
    try {
      const answer = await call(method, "auth/activity/");
      if (answer.ok) this.told(answer.body);
      else if (answer.status >= 500 || answer.status === 429) this.askIn(ASK_AGAIN_MS);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      if (Date.now() - this.touchedAt > this.afterMs) this.lock(); // nobody can say otherwise
      this.askIn(ASK_AGAIN_MS);
    }
  }

  told({ locked, locks_in_s, locks_after_s }) {
    this.afterMs = locks_after_s * 1_000;
    if (locked) this.lock();
    else {
      this.open();
      this.askIn(locks_in_s * 1_000 + SLACK_MS);
    }
  }

  askIn(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), ms);
  }

  lock() {
    if (this.locked) return;
    this.locked = true;
    this.cover(true);
    dispatchEvent(new Event(LET_GO));
    this.tabs?.postMessage("locked");
    this.password.focus();
  }

  /** The server says that it is open: the password was given here or in another tab. */
  open() {
    if (!this.locked) return;
    this.locked = false;
    if (this.panel.dataset.next) location.replace(this.panel.dataset.next);
    else this.cover(false);
  }

  cover(on) {
    if (this.stop && on) this.slot.append(this.stop);
    else if (this.stop) this.home.after(this.stop);
    this.panel.hidden = !on;
    document.body.classList.toggle("is-locked", on);
    for (const part of document.querySelectorAll(this.panel.dataset.covers)) part.inert = on;
    this.say("");
  }

  say(message) {
    this.trouble.hidden = !message;
    this.trouble.textContent = message;
  }

  /** @param {SubmitEvent} event */
  async unlock(event) {
    event.preventDefault();
    const password = this.password.value;
    this.password.value = "";
    this.say("");
    try {
      const answer = await call("POST", "auth/unlock/", { body: { password } });
      if (answer.ok) {
        this.touchedAt = Date.now();
        this.told(answer.body);
        this.tabs?.postMessage("unlocked");
      } else {
        this.say(answer.body?.errors?.password?.[0] ?? words(answer));
        this.password.focus();
      }
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      this.say(error.message);
    }
  }
}
