/** Who holds control of one robot: taking it, giving it back, breaking another's. The holder's page renews it while it is open. */
import { call, NoAnswer, words } from "./api.js";
import { attribute, flag, text } from "./dom.js";
import { ageS, clock, holder } from "./truth.js";

const RENEW_EVERY_MS = 40_000; // a third of the lease
const by = (id) => document.getElementById(id);

export class Control {
  /** @param {string} robot @param {string} me @param {() => void} changed */
  constructor(robot, me, changed) {
    Object.assign(this, { robot, me, changed, busy: false, renewedAt: 0 });
    by("control-take").addEventListener("click", () => this.ask("POST", "lease/"));
    by("control-release").addEventListener("click", () => this.ask("DELETE", "lease/"));
    by("control-break-open").addEventListener("click", () => this.open(by("control-break").hidden));
    by("control-break").addEventListener("submit", (event) => this.break_(event));
  }

  /** @param {import("./truth.js").RobotDocument} doc @param {import("./actions.js").Standing} standing */
  render(doc, { rights, now, connected }) {
    const held = holder(doc, now);
    const mine = held === this.me;
    const may = connected && !this.busy;
    text(by("control-who"), this.words(doc, held, mine, now));
    this.show("control-take", rights.has("robot.command") && !held, may);
    this.show("control-release", mine, may);
    this.show("control-break-open", Boolean(held) && !mine && rights.has("robot.break_lease"), may);
    if (!held || mine) by("control-break").hidden = true;
    if (mine && connected && !document.hidden && Date.now() - this.renewedAt > RENEW_EVERY_MS && ageS(doc.lease.since, now) > 1) this.ask("POST", "lease/", { quietly: true });
  }

  words(doc, held, mine, now) {
    if (!held) return "Nobody holds control; the first motion command takes it.";
    if (mine) return `Control: you, until ${clock(doc.lease.until, now)}; this page keeps it while it is open.`;
    return `${held} holds control since ${clock(doc.lease.since, now)}. Everybody may stop.`;
  }

  show(id, wanted, enabled) {
    by(id).hidden = !wanted;
    attribute(by(id), "disabled", !enabled);
  }

  /** @param {boolean} wanted */
  open(wanted) {
    by("control-break").hidden = !wanted;
    (wanted ? by("control-reason") : by("control-break-open")).focus();
  }

  /** @param {SubmitEvent} event */
  async break_(event) {
    event.preventDefault();
    const reason = by("control-reason").value.trim();
    if (!reason || this.busy) return;
    if (await this.ask("POST", "lease/break/", { body: { reason } })) {
      by("control-reason").value = "";
      by("control-break").hidden = true;
    }
  }

  /** @returns {Promise<boolean>} whether the server did it */
  async ask(method, path, { body = undefined, quietly = false } = {}) {
    this.renewedAt = Date.now();
    this.busy = !quietly;
    this.changed();
    let [message, done] = ["", false];
    try {
      const answer = await call(method, `robots/${this.robot}/${path}`, { body });
      [message, done] = answer.ok ? ["", true] : [`▲ ${words(answer)}`, false];
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      message = `▲ ${error.message}`;
    }
    this.busy = false;
    text(by("control-outcome"), message);
    flag(by("control-outcome"), "is-warning", Boolean(message));
    this.changed();
    return done;
  }
}
