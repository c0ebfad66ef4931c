/** Steps for one robot: gathered from its command forms, started as one, and shown while they run. */
import { call, newKey, NoAnswer, words } from "./api.js";
import { attribute, flag, make, text } from "./dom.js";
import { commandWords } from "./story.js";
import { modeNow } from "./truth.js";

const by = (id) => document.getElementById(id);

/** @typedef {{name: string, params: Object}} Step */

export class Sequence {
  /** @param {string} robot @param {() => void} changed */
  constructor(robot, changed) {
    Object.assign(this, { robot, changed, busy: false, key: newKey() });
    this.kept = `steps of ${robot}`;
    /** @type {Step[]} what is being put together; a reload does not lose it */
    this.steps = JSON.parse(sessionStorage.getItem(this.kept) ?? "[]");
    by("sequence-start").addEventListener("click", () => this.start());
    by("sequence-clear").addEventListener("click", () => this.keep([]));
    by("sequence-cancel").addEventListener("click", () => this.cancel());
    by("sequence-steps").addEventListener("click", (event) => this.edit(event.target.closest("button")));
  }

  /** @param {string} name @param {Object} params */
  add(name, params) {
    this.say("");
    this.keep([...this.steps, { name, params }]);
  }

  /** @param {Step[]} steps */
  keep(steps) {
    this.steps = steps;
    this.key = newKey(); // other steps, another request
    sessionStorage.setItem(this.kept, JSON.stringify(steps));
    this.changed();
  }

  /** @param {HTMLButtonElement|null} button */
  edit(button) {
    if (!button) return;
    const at = Number(button.dataset.at);
    const steps = [...this.steps];
    const [step] = steps.splice(at, 1);
    if (button.dataset.does === "earlier") steps.splice(at - 1, 0, step);
    this.keep(steps);
    by("sequence-start").focus();
  }

  /** @param {import("./truth.js").RobotDocument} doc @param {import("./actions.js").Standing} standing */
  render(doc, { rights, now, connected }) {
    this.running = doc.sequence;
    by("sequence").hidden = !this.running && this.steps.length === 0 && !by("sequence-outcome").textContent;
    const reason = !rights.has("robot.command")
      ? "Your role does not include commands."
      : !connected
        ? "No connection to the server: this page does not know the robot's state."
        : doc.stop.latched ? "The robot is stopped: reset first." : "";
    for (const id of ["start", "clear"]) by(`sequence-${id}`).hidden = Boolean(this.running) || this.steps.length === 0;
    attribute(by("sequence-start"), "disabled", this.busy || Boolean(reason));
    by("sequence-cancel").hidden = !this.running || !rights.has("robot.command");
    attribute(by("sequence-cancel"), "disabled", this.busy || !connected);
    const { by: who, step, steps } = this.running ?? {};
    this.lost = !connected || modeNow(doc, now) === "offline";
    const under = !connected
      ? "was under way when this page last heard of it; it may have gone on."
      : this.lost
        ? "was under way when the robot was last read. Nothing further is sent to a robot that is offline."
        : "is under way. Halt, or STOP, ends the motion and the sequence.";
    text(by("sequence-why"), this.running ? `${who} started it; step ${step + 1} of ${steps.length} ${under}` : this.steps.length ? reason : "");
    this.renderSteps();
  }

  renderSteps() {
    const steps = this.running?.steps ?? this.steps;
    const key = JSON.stringify([steps, this.running?.step ?? null, this.lost]);
    const list = by("sequence-steps");
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.replaceChildren(...steps.map((step, at) => (this.running ? this.runningStep(step, at) : this.plannedStep(step, at))));
  }

  runningStep(step, at) {
    const { step: now } = this.running;
    const [mark, word] = at < now ? ["✓", "done"] : at === now ? ["▸", this.lost ? "last known" : "under way"] : ["", "waits"];
    return make("li", { class: at === now ? "is-now" : null, "aria-current": at === now ? "step" : null }, make("span", { class: "mark", "aria-hidden": "true" }, mark), ` ${commandWords(step)} `, make("span", { class: "quiet" }, word));
  }

  plannedStep(step, at) {
    const what = commandWords(step);
    const button = (does, label, sign) => make("button", { type: "button", class: "plain small", "data-does": does, "data-at": at, "aria-label": `${label}: ${what}` }, sign);
    return make("li", {}, make("div", {}, make("span", {}, what), at > 0 ? button("earlier", "Earlier", "↑") : "", button("remove", "Remove", "✕")));
  }

  say(message, level = "normal") {
    const outcome = by("sequence-outcome");
    text(outcome, message);
    for (const one of ["warning", "critical"]) flag(outcome, `is-${one}`, one === level);
  }

  /** A journal row of a sequence: how it ended. @param {import("./story.js").Row} row */
  hear({ verb, data }) {
    if (verb === "sequence.started") this.say("");
    if (verb === "sequence.done") this.say(`✓ ${data.detail}`);
    if (verb === "sequence.cancelled") this.say(`▲ No further step is sent. If the robot still moves (${commandWords(data.steps[data.step])}), Halt ends that.`, "warning");
    if (verb === "sequence.failed") this.say(`■ The sequence has ended. ${data.detail} Nothing further is sent.`, "critical");
  }

  async start() {
    await this.ask("POST", `robots/${this.robot}/sequences/`, { steps: this.steps, idempotency_key: this.key }, () => this.keep([]));
  }

  async cancel() {
    await this.ask("POST", `sequences/${this.running.id}/cancel/`, {}, () => undefined);
  }

  async ask(method, path, body, done) {
    this.busy = true;
    this.say("");
    this.changed();
    try {
      const answer = await call(method, path, { body });
      if (answer.ok) done();
      else this.say(`▲ ${words(answer)}`, "warning");
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      this.say(`■ ${error.message} Whether it was taken is unknown: this page shows it when the connection is back. Pressing again does not start it twice.`, "critical");
    } finally {
      this.busy = false;
      this.changed();
    }
  }
}
