/** One request as a sequence: who said what to whom, when, until what the robot itself shows. */
import { call, NoAnswer, words } from "./api.js";
import { make, text } from "./dom.js";
import { start } from "./page.js";
import { tell } from "./story.js";
import * as truth from "./truth.js";

/**
 * @typedef {import("./story.js").Row} Row
 * @typedef {{at: number, way: string, words: string, detail: string, level: string, shape: string, row: Row|null}} Step
 */

// Which way a step goes. What is not here stays within robotctl.
const ASKS = /^(command\.(accepted|awaiting_approval|approved|refused|cancelled|released|resolved)|stop\.requested|reset\.refused|lease\.|access\.|auth\.|sequence\.(started|cancelled))/;
const ANSWERS = /^(command\.(acknowledged|confirmed|done|rejected|failed|answered_late|interrupted)|stop\.(confirmed|left)|reset\.(confirmed|done)|robot\.(state_changed|restarted))/;
const ARROWS = { ask: "person → robotctl", send: "robotctl → robot", answer: "robot → robotctl", own: "robotctl" };

const { boot } = start({ topics: [] });
const by = (id) => document.getElementById(id);

/** @param {Row[]} rows @returns {Step[]} in the order in which it happened */
function steps(rows) {
  const found = rows.map((row) => {
    const { words: said, detail, level, shape } = tell(row);
    const way = ASKS.test(row.verb) ? "ask" : ANSWERS.test(row.verb) ? "answer" : "own";
    return { at: Date.parse(row.at), way, words: said, detail, level, shape, row };
  });
  return [...found, ...sendings(rows)].sort((one, other) => one.at - other.at);
}

/** The rows tell when a request left and came back; each becomes a step of its own, once. */
function sendings(rows) {
  const made = new Map();
  for (const { data } of rows) {
    if (!data?.sent_at) continue;
    const attempts = data.attempts > 1 ? ` (${data.attempts} attempts)` : "";
    made.set(`${data.command} ${data.sent_at}`, { at: Date.parse(data.sent_at), way: "send", words: `The request goes out${attempts}`, detail: "", level: "normal", shape: "", row: null });
  }
  return [...made.values()];
}

/** @param {Step} step @param {number} began */
function item(step, began) {
  const { row } = step;
  const after = make("time", { datetime: new Date(step.at).toISOString(), title: new Date(step.at).toISOString() }, `+${((step.at - began) / 1000).toFixed(3)} s`);
  const said = make("p", { class: `is-${step.level}` }, step.shape ? `${step.shape} ` : "", step.words, row && step.way === "ask" ? make("span", { class: "quiet" }, ` ${row.actor}`) : "");
  const lines = [make("p", { class: "spoken" }, `${ARROWS[step.way]}:`), said];
  if (step.detail) lines.push(make("p", { class: "small quiet" }, step.detail));
  if (row?.data?.http_status) lines.push(make("p", { class: "small quiet" }, `HTTP ${row.data.http_status}${row.data.message && row.data.message !== step.detail ? ` “${row.data.message}”` : ""}`));
  const seen = Object.entries(row?.data?.seen ?? {}).map(([read, values]) => `${read}: ${Object.entries(values).map(([name, value]) => `${name} ${value}`).join(", ")}`);
  if (seen.length) lines.push(make("p", { class: "small quiet" }, `Read back: ${seen.join(" · ")}`));
  if (row) lines.push(make("a", { class: "small", href: `/journal/?request_id=${encodeURIComponent(row.request_id)}` }, `#${row.id} ${row.verb}`));
  return make("li", { class: `way-${step.way}`, "data-verb": row?.verb ?? "sent" }, after, make("div", { class: "step" }, ...lines));
}

async function begin() {
  try {
    const answer = await call("GET", `journal/chain/${encodeURIComponent(boot.request_id)}/`, { timeoutMs: 30_000 });
    if (!answer.ok) return trouble(words(answer));
    show(answer.body.results);
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    trouble(error.message);
  }
}

/** @param {Row[]} rows */
function show(rows) {
  if (!rows.length) return trouble("The record holds nothing of this request.");
  const all = steps(rows);
  const [first] = all;
  const robots = [...new Set(rows.map((row) => row.robot).filter(Boolean))];
  const people = [...new Set(rows.map((row) => row.actor))];
  text(by("lane-person"), people.filter((one) => one !== "system").join(", ") || "system");
  text(by("lane-robot"), robots.join(", ") || "no robot");
  const lasted = (all.at(-1).at - first.at) / 1000;
  text(by("summary"), `${truth.absolute(new Date(first.at).toISOString())} · ${rows.length} row${rows.length === 1 ? "" : "s"} · ${truth.span(lasted)} from first to last`);
  by("chain").replaceChildren(...all.map((step) => item(step, first.at)));
}

function trouble(said) {
  by("trouble").hidden = false;
  text(by("trouble"), `▲ ${said}`);
}

begin();
