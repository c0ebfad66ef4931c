/** Whether the record is whole: its seals, what is not sealed yet, and what a check has found. */
import { call, NoAnswer, words } from "./api.js";
import { make, part, text } from "./dom.js";
import * as truth from "./truth.js";

const EVERY_MS = 5_000;

export class Record {
  /** @param {HTMLElement} block @param {{now: () => number, mark: (isFound: (id: number) => boolean) => void}} options */
  constructor(block, { now, mark }) {
    this.block = block;
    this.now = now;
    this.mark = mark;
    this.findings = new Map();
    this.state = null;
    this.button = document.getElementById("verify");
    this.button.addEventListener("click", () => this.verify());
  }

  begin() {
    this.ask();
    setInterval(() => this.ask(), EVERY_MS);
    setInterval(() => this.render(), 1_000);
  }

  isFound = (id) => this.findings.has(id);

  found(id) {
    return this.findings.get(id) ?? "";
  }

  async ask() {
    if (this.checking) return;
    try {
      const answer = await call("GET", "journal/state/");
      if (answer.ok) this.see(answer.body);
      else this.unknown(words(answer));
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      this.unknown(error.message);
    }
  }

  see(state) {
    this.state = state;
    this.findings = new Map(state.findings.filter((one) => one.id !== null).map((one) => [one.id, one.words]));
    this.mark(this.isFound);
    this.render();
  }

  unknown(why) {
    this.state = null;
    this.verdict("○", `Not known: ${why}`, "warning");
  }

  verdict(shape, said, level) {
    text(part(this.block, "shape"), shape);
    text(part(this.block, "verdict"), said);
    for (const one of ["normal", "warning", "critical"]) this.block.classList.toggle(`is-${one}`, one === level);
  }

  render() {
    const state = this.state;
    if (state === null || this.checking) return;
    if (state.findings.length) this.verdict("■", `The record is not whole: ${state.findings.length} finding${state.findings.length === 1 ? "" : "s"}`, "critical");
    else if (state.weaknesses.length) this.verdict("■", `The record is not guarded. ${state.weaknesses.join(" ")}`, "critical");
    else if (state.whole_checked_at === null) this.verdict("▲", "Not checked as a whole yet", "warning");
    else this.verdict("✓", "The record is whole", "normal");
    text(part(this.block, "seals"), `${state.seals} seal${state.seals === 1 ? "" : "s"}`);
    text(part(this.block, "sealed"), this.age(state.last_seal_at));
    text(part(this.block, "tail"), state.tail ? `${state.tail} row${state.tail === 1 ? "" : "s"}, ${truth.span(state.tail_age_s)} old` : "0 rows");
    text(part(this.block, "checked"), this.age(state.whole_checked_at));
    part(this.block, "findings").replaceChildren(
      ...[...state.findings.map((one) => one.words), ...(state.findings.length ? state.weaknesses : [])].map((words) => make("li", {}, `■ ${words}`)),
    );
  }

  age(at) {
    return at === null ? "never" : `${truth.span(Math.max(0, (this.now() - Date.parse(at)) / 1000))} ago`;
  }

  /** Check every row there is, piece by piece, and show how far it is. */
  async verify() {
    this.checking = true;
    this.button.disabled = true;
    const findings = [];
    let rows = 0;
    try {
      for (let from = 1; from !== null; ) {
        const answer = await call("GET", `journal/verify/?from_seal=${from}`, { timeoutMs: 60_000 });
        if (!answer.ok) return this.unknown(words(answer));
        findings.push(...answer.body.findings);
        rows += answer.body.rows;
        from = answer.body.next;
        this.verdict("◐", `Checking: ${rows} rows so far, ${findings.length} findings`, findings.length ? "critical" : "normal");
      }
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      return this.unknown(error.message);
    } finally {
      this.checking = false;
      this.button.disabled = false;
    }
    if (this.state) this.see({ ...this.state, findings, whole_checked_at: new Date(this.now()).toISOString() });
  }
}
