/** What a person may ask of one robot: a form for each command, and the reset of a stop. Each says why not, in words. */
import { call, newKey, NoAnswer, words } from "./api.js";
import { life } from "./commands.js";
import { attribute, flag, make, text } from "./dom.js";
import { mayCommand } from "./truth.js";

const RESET_WITHIN_MS = 20_000;
const SHOWN_FOR_MS = 60_000;

/** @typedef {{rights: Set<string>, now: number, connected: boolean, ended?: boolean, heldBy?: string|null}} Standing */

/** One command's form. */
export class CommandForm {
  /**
   * @param {string} robot
   * @param {string} name
   * @param {{title: string, class: string, params: Object[]}} spec
   * @param {import("./commands.js").Commands} commands
   * @param {() => void} changed
   * @param {import("./sequence.js").Sequence} sequence
   */
  constructor(robot, name, spec, commands, changed, sequence) {
    Object.assign(this, { robot, name, spec, commands, changed, sequence, key: newKey(), busy: false, sent: null });
    this.why = make("p", { class: "why", id: `why-${name}` });
    this.outcome = make("p", { class: "outcome", role: "status" });
    this.button = make("button", { type: "submit", "aria-describedby": this.why.id }, spec.title);
    this.fields = new Map(spec.params.map((param) => [param.name, new Field(name, param)]));
    this.element = make("form", { class: "command", "data-command": name, novalidate: true }, ...[...this.fields.values()].map((field) => field.element), this.button, this.stepButton(), this.why, this.outcome);
    this.element.addEventListener("submit", (event) => this.submit(event));
    this.element.addEventListener("input", () => (this.key = newKey())); // other words, another request
  }

  stepButton() {
    if (!this.spec.in_sequence) return "";
    const title = `Adds “${this.spec.title}” to the sequence below. Nothing is sent.`;
    const button = make("button", { type: "button", class: "plain add-step", title }, "+ step");
    button.addEventListener("click", () => this.fill() && this.sequence.add(this.name, this.params));
    return button;
  }

  /** Whether every field holds what it may. */
  fill() {
    return ![...this.fields.values()].map((field) => field.check()).includes(false);
  }

  get params() {
    return Object.fromEntries([...this.fields].map(([name, field]) => [name, field.value]).filter(([, value]) => value !== null));
  }

  /** @param {import("./truth.js").RobotDocument} doc @param {Standing} standing */
  render(doc, standing) {
    const verdict = mayCommand(doc, this.name, { ...standing, motion: this.spec.class === "motion", right: this.spec.right });
    attribute(this.button, "disabled", !verdict.allowed || this.busy);
    text(this.why, this.busy ? "Asking the server …" : (verdict.reason ?? ""));
    if (this.sent !== null) this.showLife(standing.now);
  }

  /** The life of the command that was sent from here. */
  showLife(now) {
    const row = this.commands.rows.get(this.sent);
    if (!row) return;
    const { steps, level, shape, todo } = life(row, now);
    if (level === "normal" && row.ended_at && now - Date.parse(row.done_at ?? row.ended_at) > SHOWN_FOR_MS) {
      this.say(""); // it stands among the last commands
      return;
    }
    this.say([shape, steps + (level === "normal" || !row.detail ? "" : `. ${row.detail}`), todo].filter(Boolean).join(" "), level);
  }

  say(message, level = "normal") {
    text(this.outcome, message);
    for (const one of ["warning", "critical"]) flag(this.outcome, `is-${one}`, one === level);
  }

  /** @param {SubmitEvent} event */
  async submit(event) {
    event.preventDefault();
    const filled = this.fill();
    if (this.busy || this.button.disabled) return;
    if (!filled) {
      this.sent = null; // what became of the one before is no answer to this one
      this.say("");
      return;
    }
    this.busy = true;
    this.sent = null;
    this.say("");
    this.changed();
    try {
      await this.ask(this.params);
    } finally {
      this.busy = false;
      this.changed();
    }
  }

  async ask(params) {
    try {
      const answer = await call("POST", `robots/${this.robot}/commands/`, { body: { name: this.name, params, wait_s: 0, idempotency_key: this.key } });
      this.key = newKey();
      if (answer.ok) {
        this.commands.merge(answer.body);
        this.sent = answer.body.id;
      } else {
        this.refused(answer);
      }
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      // The key stays: pressing again with the same values asks for the same command, not for a second one.
      const unknown = "Whether the command was taken is unknown: look at the last commands when the connection is back. Pressing again does not send it twice.";
      this.say(`■ ${error.message} ${unknown}`, "critical");
    }
  }

  refused(answer) {
    for (const [name, field] of this.fields) field.complain(answer.body?.errors?.[`params.${name}`]?.[0] ?? answer.body?.errors?.[name]?.[0] ?? "");
    this.say(`▲ Not sent. ${words(answer)}`, "warning");
  }
}

/** One parameter: a label, an input with its unit, the range in small. */
class Field {
  /** @param {string} command @param {Object} param as in `boot.commands` */
  constructor(command, param) {
    this.param = param;
    const id = `${command}-${param.name}`;
    this.input = this.makeInput(id);
    this.hint = make("span", { class: "hint", id: `${id}-hint` }, this.range());
    this.input.setAttribute("aria-describedby", this.hint.id);
    const box = make("span", { class: "with-unit" }, this.input, make("span", { class: "unit" }, param.unit ?? ""));
    this.element = make("div", { class: "field" }, make("label", { for: id }, param.title), box, this.hint);
    this.input.addEventListener("input", () => this.complain(""));
  }

  makeInput(id) {
    const { param } = this;
    if (param.choices?.length) {
      const options = param.choices.map((choice) => make("option", { value: choice, selected: choice === param.default }, String(choice)));
      return make("select", { id }, ...options);
    }
    const number = param.type !== "text" && param.type !== "str" && param.type !== "string";
    return make("input", {
      id,
      type: number ? "number" : "text",
      step: number ? "any" : null,
      inputmode: number ? "decimal" : null,
      min: param.minimum,
      max: param.maximum,
      value: param.default,
      required: param.required,
      autocomplete: "off",
    });
  }

  range() {
    const { minimum, maximum, unit, required } = this.param;
    const bounds = minimum !== null && maximum !== null ? `${minimum} – ${maximum}${unit ? ` ${unit}` : ""}` : "";
    return [bounds, required ? "" : "optional"].filter(Boolean).join(", ");
  }

  get value() {
    if (this.input.value === "") return null;
    return this.input.type === "number" ? Number(this.input.value) : this.input.value;
  }

  /** The browser's own check, in our words. @returns {boolean} */
  check() {
    const { validity } = this.input;
    if (validity.valid) return true;
    const range = `Between ${this.param.minimum} and ${this.param.maximum} ${this.param.unit ?? ""}.`;
    this.complain(validity.valueMissing ? "Give a value." : validity.badInput ? "Give a number." : range);
    this.input.focus();
    return false;
  }

  complain(message) {
    text(this.hint, message ? `▲ ${message}` : this.range());
    flag(this.hint, "is-wrong", Boolean(message));
    attribute(this.input, "aria-invalid", message ? "true" : null);
  }
}

/** The reset of a stop: opens in place (STOP stays within reach), needs a reason. */
export class ResetForm {
  /** @param {string} robot @param {() => void} changed */
  constructor(robot, changed) {
    Object.assign(this, { robot, changed, busySince: null, lifted: "" });
    const by = (id) => document.getElementById(id);
    Object.assign(this, { form: by("reset"), opener: by("reset-open"), body: by("reset-body"), reason: by("reset-reason"), why: by("reset-why"), outcome: by("reset-outcome") });
    this.opener.addEventListener("click", () => this.open(this.body.hidden));
    by("reset-close").addEventListener("click", () => this.open(false));
    this.form.addEventListener("submit", (event) => this.submit(event));
  }

  /** @param {boolean} wanted */
  open(wanted) {
    this.body.hidden = !wanted;
    this.opener.setAttribute("aria-expanded", String(wanted));
    (wanted ? this.reason : this.opener).focus();
  }

  /** @param {import("./truth.js").RobotDocument} doc @param {Standing} standing */
  render(doc, { rights, now, connected }) {
    this.now = now;
    const reason = !rights.has("robot.reset")
      ? "Your role does not include reset; an engineer's does."
      : !connected
        ? "No connection to the server: this page does not know the robot's state."
        : doc.reset?.allowed === false ? doc.reset.reason : "";
    attribute(this.opener, "disabled", Boolean(reason));
    attribute(this.form.querySelector("[type=submit]"), "disabled", Boolean(reason) || this.busySince !== null);
    text(this.why, reason);
    if (reason && this.busySince === null && !this.body.hidden) this.body.hidden = true;
    if (this.lifted && doc.stop.latched && Date.parse(doc.stop.at) > this.lifted) this.say((this.lifted = "")); // stopped anew
    if (this.busySince !== null) this.say(`Asking the robot to leave its stop and watching that it stays out … ${((Date.now() - this.busySince) / 1000).toFixed(0)} s`);
  }

  say(message, level = "normal") {
    text(this.outcome, message);
    flag(this.outcome, "is-warning", level === "warning");
  }

  /** @param {SubmitEvent} event */
  async submit(event) {
    event.preventDefault();
    if (this.busySince !== null || !this.reason.value.trim()) return;
    this.busySince = Date.now();
    this.changed();
    const [message, level] = await this.ask(this.reason.value.trim());
    this.busySince = null;
    this.say(message, level);
    this.changed();
  }

  async ask(reason) {
    try {
      const answer = await call("POST", `robots/${this.robot}/stop/reset/`, { body: { reason }, timeoutMs: RESET_WITHIN_MS });
      if (!answer.ok) return [`▲ Not reset. ${words(answer)}`, "warning"];
      if (answer.body.status === "awaiting_approval") return [`▲ Not reset yet: it waits under “Last commands”. ${answer.body.detail}`, "warning"];
      if (answer.body.status !== "confirmed") return [`▲ Not reset: the stop stays. ${answer.body.detail}`, "warning"];
      this.reason.value = "";
      this.body.hidden = true;
      this.lifted = this.now;
      return [`✓ The stop is lifted. ${answer.body.detail}`];
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      return [`▲ ${error.message} Whether it was reset is unknown: the robot's state and the story will show it.`, "warning"];
    }
  }
}
