/** The story of one robot: live, filtered, and back to its first day. */
import { call, NoAnswer, words } from "./api.js";
import { make, text } from "./dom.js";
import { tell } from "./story.js";
import * as truth from "./truth.js";

const MOST_LIVE = 200; // what was asked for by "Older" stays
const KINDS = { commands: /^(command|sequence|setting)\./, stops: /^(stop|reset)\./, link: /^(robot|breaker|link)\./, control: /^lease\./ };

/** @typedef {import("./story.js").Row} Row */

export class Timeline {
  /** @param {string} slug @param {Row[]} rows newest first @param {{audits: boolean, page: number}} options `audits`: may read the whole journal */
  constructor(slug, rows, { audits, page }) {
    this.slug = slug;
    this.audits = audits;
    this.kind = "";
    this.asked = false;
    this.list = document.getElementById("story");
    this.more = document.getElementById("story-older");
    this.empty = document.getElementById("story-empty");
    this.outcome = document.getElementById("story-outcome");
    for (const button of document.querySelectorAll("[data-story-kind]")) button.addEventListener("click", () => this.choose(button.dataset.storyKind));
    this.more.addEventListener("click", () => this.older());
    this.show(rows, rows.length === page ? rows.at(-1).id : null);
  }

  /** Rows from the server, at the end of what stands there. @param {Row[]} rows @param {number|null} older */
  show(rows, older) {
    for (const row of rows) this.list.append(this.item(row));
    this.last = older;
    this.more.hidden = older === null;
    this.empty.hidden = this.list.children.length > 0;
    text(this.empty, this.kind ? "Nothing of this kind has happened to this robot." : this.empty.dataset.words);
  }

  /** A row that has just come in. @param {Row} row */
  hear(row) {
    if (!this.wants(row) || this.list.querySelector(`[data-id="${row.id}"]`)) return;
    const later = [...this.list.children].find((item) => item.dataset.at <= row.at); // a late one stands where it happened
    this.list.insertBefore(this.item(row), later ?? (this.last === null ? null : this.list.lastChild));
    if (!this.asked) while (this.list.children.length > MOST_LIVE) this.drop();
    this.empty.hidden = true;
  }

  drop() {
    this.list.lastChild.remove();
    this.last = Number(this.list.lastChild.dataset.id);
    this.more.hidden = false;
  }

  wants(row) {
    if (!this.kind) return true;
    return this.kind === "trouble" ? row.outcome !== "ok" : KINDS[this.kind].test(row.verb);
  }

  async choose(kind) {
    this.kind = kind;
    for (const button of document.querySelectorAll("[data-story-kind]")) button.setAttribute("aria-pressed", String(button.dataset.storyKind === kind));
    this.list.replaceChildren();
    this.last = null;
    await this.ask();
  }

  async older() {
    this.asked = true;
    await this.ask();
  }

  async ask() {
    const kind = this.kind;
    const query = new URLSearchParams({ ...(kind ? { kind } : {}), ...(this.last ? { before: this.last } : {}) });
    this.more.disabled = true;
    text(this.outcome, "");
    try {
      const answer = await call("GET", `robots/${this.slug}/timeline/?${query}`);
      if (kind !== this.kind) return; // something else was chosen meanwhile
      if (answer.ok) this.show(answer.body.results.filter((row) => !this.list.querySelector(`[data-id="${row.id}"]`)), answer.body.older);
      else text(this.outcome, words(answer));
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      text(this.outcome, `${error.message} What is shown may not be all.`);
    } finally {
      this.more.disabled = false;
    }
  }

  /** @param {Row} row */
  item(row) {
    const { words: said, detail, level, shape } = tell(row);
    const when = make("time", { datetime: row.at, title: truth.absolute(row.at) }, truth.clock(row.at));
    const what = make("p", { class: `is-${level}` }, shape ? make("span", { class: "shape" }, `${shape} `) : "", said);
    if (row.actor && row.actor !== "system") what.append(make("span", { class: "quiet" }, ` ${row.actor}`));
    const lines = [what];
    if (detail) lines.push(make("p", { class: "quiet small" }, detail));
    if (row.late) lines.push(make("p", { class: "quiet small" }, "Recorded afterwards: the database was away."));
    if (this.audits && row.request_id) lines.push(make("a", { class: "small", href: `/journal/chain/${encodeURIComponent(row.request_id)}/` }, "whole chain"));
    return make("li", { "data-id": row.id, "data-at": row.at, "data-verb": row.verb }, when, make("div", {}, ...lines));
  }
}
