/**
 * The stop ticket of this page: with it a stop goes to the robots before the server looks anything up, so that it works while
 * the server's database or bus is away. Without one (not yet, or no more) a stop goes the ordinary way.
 */
import { call, NoAnswer } from "./api.js";

const RENEW_EVERY_MS = 5 * 60_000;
const AGAIN_MS = 10_000;
const RIGHTS_SETTLE_MS = 2_000;

export class StopTicket {
  /** @param {import("./live.js").Live|null} live */
  constructor(live) {
    /** @type {string} */
    this.value = "";
    this.timer = 0;
    this.renew();
    live?.on("rights", () => this.renewIn(RIGHTS_SETTLE_MS));
  }

  /** For the request of a stop. */
  get headers() {
    return this.value ? { "X-Stop-Ticket": this.value } : {};
  }

  renewIn(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.renew(), ms);
  }

  async renew() {
    try {
      const answer = await call("POST", "auth/stop-ticket/");
      if (answer.ok) this.value = answer.body.ticket;
      else if (answer.status < 500) this.value = ""; // signed out, or no such right
      this.renewIn(answer.status < 500 ? RENEW_EVERY_MS : AGAIN_MS);
    } catch (error) {
      this.renewIn(AGAIN_MS); // the old one goes on for as long as it is good
      if (!(error instanceof NoAnswer)) throw error;
    }
  }
}
