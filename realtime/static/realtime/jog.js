/**
 * Hold-to-run: two buttons that move the robot while they are held. Every third of a second a sign goes to the server; when the
 * signs end, for whatever reason, the server halts the robot. Letting go halts it at once.
 */
import { CommandForm } from "./actions.js";
import { call, newKey, NoAnswer, words } from "./api.js";
import { attribute, flag, make, text } from "./dom.js";
import { LET_GO } from "./lock.js";

const SIGN_EVERY_MS = 300;

export class JogForm extends CommandForm {
  /** @param {ConstructorParameters<typeof CommandForm>} args robot, name, spec, commands, changed */
  constructor(...args) {
    super(...args);
    /** @type {{id: number|null, timer: number}|null} the press under way */
    this.press = null;
    this.field = this.fields.get(this.spec.hold.speed);
    Object.assign(this.field.param, { minimum: 0 }); // the buttons say the direction
    this.field.input.min = 0;
    this.field.complain("");
    this.field.input.value ||= this.spec.hold.example;
    this.back = this.holdButton("◀ hold", "Jog backward", -1);
    this.forth = this.holdButton("hold ▶", "Jog forward", 1);
    this.button.replaceWith(make("div", { class: "hold-buttons" }, this.back, this.forth));
    this.element.addEventListener("submit", (event) => event.preventDefault());
    for (const event of ["pointerup", "pointercancel", "blur", "pagehide", LET_GO]) window.addEventListener(event, () => this.release());
    document.addEventListener("visibilitychange", () => document.hidden && this.release());
  }

  holdButton(label, name, direction) {
    const button = make("button", { type: "button", class: "hold", "aria-label": name, "aria-describedby": this.why.id }, label);
    button.addEventListener("pointerdown", (event) => {
      if (event.button === 0) this.begin(direction, button);
    });
    button.addEventListener("keydown", (event) => {
      if ([" ", "Enter"].includes(event.key) && !event.repeat) this.begin(direction, button);
      if ([" ", "Enter"].includes(event.key)) event.preventDefault();
    });
    button.addEventListener("keyup", () => this.release());
    button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch is the press itself
    return button;
  }

  render(doc, standing) {
    super.render(doc, standing);
    for (const button of [this.back, this.forth]) attribute(button, "disabled", this.button.disabled && !this.press);
    if (this.press && !standing.connected) this.release();
  }

  async begin(direction, button) {
    if (this.press || button.disabled || !this.field.check()) return;
    const press = { id: null, timer: 0 };
    this.press = press;
    flag(button, "pressed", true);
    this.say("");
    try {
      const params = { [this.spec.hold.speed]: direction * this.field.value };
      const answer = await call("POST", `robots/${this.robot}/commands/`, { body: { name: this.name, params, wait_s: 0, idempotency_key: newKey() } });
      if (!answer.ok) {
        this.refused(answer);
        this.over();
        return;
      }
      this.commands.merge(answer.body);
      press.id = this.sent = answer.body.id;
      if (this.press === press) this.sign(press);
      else this.letGo(press.id); // let go while the server was asked
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      this.say(`■ ${error.message} Whether it moves is unknown; if so, the server halts it in two seconds.`, "critical");
      this.over();
    }
    this.changed();
  }

  /** Say that the button is held, and again until it is let go. */
  async sign(press) {
    if (this.press !== press) return;
    press.timer = setTimeout(() => this.sign(press), SIGN_EVERY_MS);
    try {
      const answer = await call("POST", `commands/${press.id}/hold/`, { timeoutMs: 1_000 });
      if (!answer.ok && this.press === press) {
        this.say(`▲ ${words(answer)}`, "warning");
        this.release();
      }
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error; // the next sign may come through; else the server halts it
    }
  }

  release() {
    const press = this.press;
    if (!press) return;
    this.over();
    if (press.id !== null) this.letGo(press.id);
  }

  over() {
    clearTimeout(this.press?.timer);
    this.press = null;
    for (const button of [this.back, this.forth]) flag(button, "pressed", false);
  }

  async letGo(id) {
    try {
      const answer = await call("POST", `commands/${id}/release/`, { timeoutMs: 15_000, keepalive: true });
      if (!answer.ok) this.say(`▲ ${words(answer)}`, "warning");
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      this.say("▲ Let go; the server does not answer. It halts the robot by itself when no sign comes.", "warning");
    }
    this.changed();
  }
}
