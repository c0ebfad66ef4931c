/** The robot page: truth, action, story. */
import { call, NoAnswer, words } from "./api.js";
import { CommandForm, ResetForm } from "./actions.js";
import { Commands, life } from "./commands.js";
import { Control } from "./control.js";
import { data, flag, make, part, text } from "./dom.js";
import { banner, start } from "./page.js";
import { Rail } from "./rail.js";
import { approvalForm } from "./approve.js";
import { resolveForm } from "./resolve.js";
import { commandWords } from "./story.js";
import { JogForm } from "./jog.js";
import { Sequence } from "./sequence.js";
import { Timeline } from "./timeline.js";
import * as truth from "./truth.js";

const RENDER_EVERY_MS = 500;
const MOST_COMMANDS = 10;
const ASK_AGAIN_MS = 2_000;
const boot = data("boot");
const slug = boot.robot.robot;
const topic = `robot.${slug}`;
const by = (id) => document.getElementById(id);

/** @type {import("./truth.js").RobotDocument} */
let doc = boot.robot;
let rights = new Set(boot.rights);
const { live, stops } = start({ topics: [topic], resumeFrom: boot.story_to });
const commands = new Commands(boot.last_commands, MOST_COMMANDS);
const sequence = new Sequence(slug, render);
const forms = Object.entries(boot.commands).map(([name, spec]) => new (spec.hold ? JogForm : CommandForm)(slug, name, spec, commands, render, sequence));
const reset = new ResetForm(slug, render);
const control = new Control(slug, boot.user, render);
const timeline = new Timeline(slug, boot.story, { audits: boot.audits, page: boot.story_page });
const rail = doc.rail_m ? new Rail(by("rail"), doc.rail_m, { lanes: 1 }) : null;

by("link-reset").addEventListener("click", askAgain);

// --- what comes in ---------------------------------------------------------------------------------------------------
live.on("state", (frame) => {
  stops.see(frame.data);
  if (frame.topic !== topic) return;
  doc = frame.data;
  render();
});
live.on("rights", (given) => {
  rights = new Set(given[topic] ?? []);
  if (!given[topic]) banner("You may not see this robot any more. What is shown here is not followed.", "To the fleet", "/");
  render();
});
live.on("event", (row) => {
  if (row.robot !== slug) return;
  timeline.hear(row);
  if (row.verb.startsWith("sequence.")) sequence.hear(row);
  if (row.verb.startsWith("command.")) {
    const id = commands.hear(row);
    if (id !== null && row.verb !== "command.accepted") refresh(id);
  }
  render();
});
live.on("gap", () => catchUp());
live.on("hello", () => catchUp());

/** A row in full, with all its times. @param {number} id */
async function refresh(id) {
  const row = await ask(`commands/${id}/`);
  if (row) commands.merge(row);
  render();
}

/** After a time without connection: what became of commands meanwhile. */
async function catchUp() {
  const page = await ask(`robots/${slug}/commands/?page_size=${MOST_COMMANDS}`);
  for (const row of page?.results ?? []) commands.merge(row);
  render();
}

async function ask(path) {
  try {
    const answer = await call("GET", path);
    return answer.ok ? answer.body : null;
  } catch (error) {
    if (error instanceof NoAnswer) return null; // asked again after the next hello
    throw error;
  }
}

/** A command that has not ended while no event comes is asked for. */
function askForOpenOnes() {
  for (const row of commands.list) if (row.ended_at === null && live.connected) refresh(row.id);
}

// --- truth -----------------------------------------------------------------------------------------------------------
function renderState(now) {
  const seen = truth.see(doc.machine_state, now);
  const state = by("state");
  text(state, seen.value ?? "not known");
  flag(state, "stale", seen.quality === "stale");
  state.title = truth.absolute(seen.observedAt);
  text(by("state-age"), seen.quality === "never" ? "never read" : `${truth.span(seen.ageS)} old`);
  flag(by("state-age"), "is-old", seen.quality === "stale");
}

function renderCondition(now) {
  const verdict = truth.attention(doc, now, live.connected);
  const block = by("condition");
  for (const level of ["normal", "warning", "critical", "nolink"]) flag(block, `is-${level}`, verdict.level === level);
  text(part(block, "shape"), verdict.shape);
  text(part(block, "word"), verdict.word);
  const mode = truth.modeNow(doc, now);
  const why = verdict.word === "No news" ? "this page has no connection; what the robot does is not known here" : truth.modeWords(mode, doc.link);
  text(part(block, "since"), mode === "online" ? "" : `· ${why}`);
  text(part(block, "latch"), latchWords());
}

function latchWords() {
  const { stop } = doc;
  if (!stop.latched) return "";
  const by_ = `STOP by ${stop.by} at ${truth.clock(stop.at)}${stop.reason ? ` (${stop.reason})` : ""}`;
  if (stop.left_at) return `${by_}; confirmed, but the robot left its stop at ${truth.clock(stop.left_at)} by itself.`;
  if (stop.status === "confirmed") return `${by_}; confirmed ${truth.clock(stop.confirmed_at)}.`;
  return `${by_}; ${stop.status === "sent" ? "sent, not yet read as stopped" : "NOT CONFIRMED"}, trying again (${stop.attempts} so far).`;
}

function renderReadings(now) {
  const body = by("readings");
  const untold = [];
  for (const [name, reading] of Object.entries(doc.readings)) {
    const row = body.querySelector(`[data-reading="${name}"]`) ?? readingRow(body, name);
    const seen = truth.see(reading, now);
    text(row.cells[1], truth.number(seen.value, seen.unit));
    flag(row.cells[1], "stale", seen.quality === "stale" && seen.value !== null);
    text(row.cells[2], seen.unit);
    text(row.cells[3], truth.span(seen.ageS));
    flag(row.cells[3], "is-old", seen.quality !== "live");
    text(row.cells[4], seen.observedAt ? truth.clock(seen.observedAt) : "never");
    row.cells[3].title = row.cells[4].title = truth.absolute(seen.observedAt);
    flag(row, "is-stale", seen.quality !== "live");
    // A kind of robot tells more than one of its firmwares: what this one has never told is named below, in one line.
    row.hidden = seen.quality === "never" && !reading.tile;
    if (row.hidden) untold.push(row.cells[0].textContent);
  }
  by("untold").hidden = !untold.length;
  text(by("untold"), `Not told by this robot so far: ${untold.join(", ")}.`);
}

function readingRow(body, name) {
  const title = boot.fields[name]?.title ?? truth.fieldName(name);
  const cells = ["num value", "unit", "num age", "num quiet"].map((kind) => make("td", { class: kind }));
  const row = make("tr", { "data-reading": name }, make("th", { scope: "row" }, title), ...cells);
  body.append(row);
  return row;
}

function renderRail(now) {
  const at = truth.see(doc.readings.position_m, now);
  const target = truth.see(doc.readings.target_m, now);
  const moving = truth.see(doc.machine_state, now).value === "moving";
  const marker = { robot: slug, at: at.value, live: at.quality === "live", level: truth.attention(doc, now, live.connected).level, title: truth.quantity(at.value, at.unit) };
  rail?.show([marker], moving ? target.value : null);
}

function renderLink(now) {
  const { link } = doc;
  const age = truth.ageS(link.last_contact_at, now);
  const mode = truth.modeNow(doc, now);
  fact("Mode", live.connected || mode === doc.mode ? mode : `not known (was ${doc.mode})`);
  fact("Last contact", age === null ? "never" : `${truth.span(age)} ago`, truth.absolute(link.last_contact_at));
  const { p50, p95 } = link.latency_ms;
  fact("Score", `${link.score} of 100`, "100 less what tells against the link; every deduction: link/ of the API");
  fact("Latency", p50 === null ? "not measured" : `${p50.toFixed(0)} ms, 95 % within ${p95.toFixed(0)} ms`, "Of the last 60 requests");
  fact("Breaker", { closed: "closed", open: "open", half_open: "half open" }[link.breaker.state] + (truth.nextProbe(doc, now) && `, ${truth.nextProbe(doc, now)}`), link.breaker.reason ?? "");
  by("link-reset").hidden = link.breaker.state === "closed" || !rights.has("robot.reset");
  fact("Failures in a row", String(link.failures));
  fact("Offline after", `${link.offline_after_s} s without contact`);
  fact("Last error", link.last_error ?? "none", link.last_error_code ?? "");
  if (link.restarted_at) fact("Restarted", truth.clock(link.restarted_at), truth.absolute(link.restarted_at));
}

/** Close the breaker: the robot is asked again at once. */
async function askAgain() {
  const outcome = by("link-outcome");
  text(outcome, "Asking the server …");
  try {
    const answer = await call("POST", `robots/${slug}/link/reset/`, { body: { reason: "asked again from its page" } });
    text(outcome, answer.ok ? "The robot is asked again." : words(answer));
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    text(outcome, "No answer from the server. The breaker is as it was.");
  }
}

function fact(name, words, title = "") {
  const list = by("link-facts");
  let block = [...list.children].find((one) => one.firstChild.textContent === name);
  if (!block) list.append((block = make("div", {}, make("dt", {}, name), make("dd"))));
  text(block.lastChild, words);
  block.lastChild.title = title;
}

// --- action ----------------------------------------------------------------------------------------------------------
function renderActions(now) {
  const held = truth.holder(doc, now);
  const standing = { rights, now, connected: live.connected, ended: live.truth.kind === "ended", heldBy: held === boot.user ? null : held };
  control.render(doc, standing);
  for (const form of forms) form.render(doc, standing);
  sequence.render(doc, standing);
  reset.render(doc, standing);
}

function renderCommands(now) {
  const rows = commands.list;
  const key = JSON.stringify(rows.map((row) => [row, life(row, now)]));
  if (by("last").dataset.key === key) return;
  by("last").dataset.key = key;
  by("last").replaceChildren(...(rows.length ? rows.map((row) => commandItem(row, life(row, now))) : [make("li", { class: "quiet" }, "No command has been sent to this robot yet.")]));
}

/** @param {import("./commands.js").Command} row @param {import("./commands.js").Life} life */
function commandItem(row, { steps, level, shape, todo }) {
  const when = make("time", { datetime: row.created_at, title: truth.absolute(row.created_at) }, truth.clock(row.created_at));
  const head = make("p", {}, when, " ", make("b", {}, commandWords(row)), row.requested_by ? make("span", { class: "quiet" }, ` ${row.requested_by}`) : "");
  const detail = [row.detail, row.code ? `(${row.code})` : ""].filter(Boolean).join(" ");
  const times = [["sent", row.sent_at], ["answered", row.answered_at], ["ended", row.ended_at], ["done", row.done_at]];
  const after = (at) => `+${((Date.parse(at) - Date.parse(row.created_at)) / 1000).toFixed(2)} s`;
  const told = times.filter(([, at]) => at).map(([name, at]) => `${name} ${after(at)}`).join(" · ");
  const lines = [head, make("p", { class: `steps is-${level}` }, [shape, steps].filter(Boolean).join(" "))];
  if (level !== "normal" && detail) lines.push(make("p", {}, detail));
  const open = row.status === "outcome_unknown" && !row.resolved;
  if (todo && (open || row.status !== "outcome_unknown")) lines.push(make("p", { class: "todo" }, todo));
  if (row.resolved?.by) lines.push(make("p", {}, `Resolved by ${row.resolved.by}: ${row.resolved.note}`));
  if (open && rights.has("robot.command")) lines.push(resolveForm(row, resolved));
  if (row.approved_by) lines.push(make("p", { class: "quiet small" }, `Approved by ${row.approved_by}`));
  if (row.status === "awaiting_approval") {
    const person = { mine: row.requested_by === boot.user, mayApprove: rights.has("robot.approve"), mayCancel: rights.has("robot.command") };
    lines.push(approvalForm(row, person, resolved));
  }
  if (told) lines.push(make("p", { class: "quiet small" }, told));
  return make("li", { "data-id": row.id, "data-status": row.status }, ...lines);
}

function resolved(row) {
  commands.merge(row);
  render();
}

function render() {
  const now = live.serverNow();
  renderState(now);
  renderCondition(now);
  renderReadings(now);
  renderRail(now);
  renderLink(now);
  renderActions(now);
  renderCommands(now);
}

function begin() {
  by("commands").append(...forms.map((form) => form.element));
  if (rail) by("rail").setAttribute("aria-label", `Where ${slug} is on its rail; the table says the same in words.`);
  else by("rail").remove();
  render();
  if (location.hash === "#reset" && !reset.opener.disabled) reset.open(true);
  setInterval(render, RENDER_EVERY_MS);
  setInterval(askForOpenOnes, ASK_AGAIN_MS);
}

begin();
