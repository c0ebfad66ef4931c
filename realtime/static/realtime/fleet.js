/** The fleet page: a rail for each site and a tile for each robot, each in its place, whatever happens. */
import { attribute, flag, make, part, text } from "./dom.js";
import { start } from "./page.js";
import { Rail } from "./rail.js";
import * as truth from "./truth.js";

const RENDER_EVERY_MS = 500;
const LOOK_FOR_NEW_MS = 15_000;
const MOST_LANES = 4;
const POLLER_SUSPECT_S = 5;
const SHOWN = ["position_m", "speed_mps", "battery_percent"];
const MOVING = ["moving", "docking"];

/** @typedef {import("./truth.js").RobotDocument} RobotDocument */

/** @type {Map<string, RobotDocument>} */
const robots = new Map();
/** @type {Map<string, HTMLElement>} */
const tiles = new Map();
/** @type {Map<string, Rail>} */
const rails = new Map();
const { live, stops, boot } = start({ topics: ["fleet"] });
let rights = new Set(boot.rights);
let filter = "all";
const verdictOn = (doc, now) => truth.attention(doc, now, live.connected);

// --- what comes in ---------------------------------------------------------------------------------------------------
function take(doc) {
  const isNew = !robots.has(doc.robot);
  robots.set(doc.robot, doc);
  stops.see(doc);
  if (isNew) place(doc);
}

live.on("state", ({ topic, data }) => {
  if (!topic.startsWith("tile.")) return;
  take(data);
  renderTile(data, live.serverNow());
});
live.on("rights", (given) => {
  rights = new Set(given["*"]);
  render();
});
live.on("truth", () => document.body.dataset.connection !== live.truth.kind && render());

/** A robot's place is by its slug, and it keeps it. */
function place(doc) {
  const tile = document.getElementById("tile-template").content.firstElementChild.cloneNode(true);
  tile.id = `tile-${doc.robot}`;
  const link = part(tile, "name");
  link.href = `/robots/${doc.robot}/`;
  text(link, doc.robot);
  link.title = doc.name;
  const stop = part(tile, "stop");
  stop.dataset.stop = part(tile, "note").dataset.stopNote = doc.robot;
  stop.setAttribute("aria-label", `STOP ${doc.robot}`);
  part(tile, "approvals").href = `/robots/${doc.robot}/#last`;
  part(tile, "approvals").title = "Commands that wait for a second person.";
  part(tile, "reset").href = `/robots/${doc.robot}/#reset`;
  for (const name of SHOWN) if (doc.readings[name]) part(tile, "values").append(valueBlock(name));
  tiles.set(doc.robot, tile);
  const order = [...tiles.keys()].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const next = tiles.get(order[order.indexOf(doc.robot) + 1]);
  document.getElementById("tiles").insertBefore(tile, next ?? null);
  document.getElementById("fleet").hidden = false;
  document.getElementById("empty").hidden = true;
}

function valueBlock(name) {
  const block = document.getElementById("value-template").content.firstElementChild.cloneNode(true);
  block.dataset.reading = name;
  text(part(block, "label"), truth.fieldName(name));
  return block;
}

// --- tiles -----------------------------------------------------------------------------------------------------------
/** @param {RobotDocument} doc @param {number} now */
function renderTile(doc, now) {
  const tile = tiles.get(doc.robot);
  const seen = truth.see(doc.machine_state, now);
  const verdict = verdictOn(doc, now);
  for (const level of ["normal", "warning", "critical", "nolink"]) flag(tile, `is-${level}`, verdict.level === level);
  flag(tile, "is-stale", seen.quality !== "live");
  part(tile, "simulated").hidden = !doc.simulated;
  renderState(tile, doc, seen, now);
  for (const block of tile.querySelectorAll("[data-reading]")) renderValue(block, truth.see(doc.readings[block.dataset.reading], now));
  renderCondition(tile, doc, verdict, now);
}

function renderState(tile, doc, seen, now) {
  const state = part(tile, "state");
  text(state, seen.value === null ? "not known" : seen.value);
  flag(state, "stale", seen.quality === "stale");
  state.title = truth.absolute(seen.observedAt);
  const target = truth.see(doc.readings.target_m, now);
  const shown = MOVING.includes(seen.value) && target.value !== null;
  const age = seen.quality === "stale" ? `${truth.span(seen.ageS)} old` : "";
  text(part(tile, "target"), [shown ? `→ ${truth.quantity(target.value, target.unit)}` : "", age].filter(Boolean).join(" · "));
}

function renderValue(block, seen) {
  const number = part(block, "number");
  text(number, truth.number(seen.value, seen.unit));
  flag(number, "stale", seen.quality === "stale" && seen.value !== null);
  text(part(block, "unit"), seen.value === null ? "" : seen.unit);
  text(part(block, "age"), seen.quality === "stale" ? truth.span(seen.ageS) : "");
  block.title = seen.quality === "never" ? "Never read." : `Observed ${truth.absolute(seen.observedAt)}`;
}

function renderCondition(tile, doc, verdict, now) {
  text(part(tile, "shape"), verdict.shape);
  text(part(tile, "word"), verdict.word);
  const mode = truth.modeNow(doc, now);
  const since = part(tile, "since");
  const contact = doc.link.last_contact_at;
  const seen = mode !== "online" && contact ? `seen ${truth.clock(contact)}` : "";
  text(since, [seen, mode === "online" ? "" : truth.nextProbe(doc, now)].filter(Boolean).join(" · "));
  since.title = contact ? `Last contact: ${truth.absolute(contact)}` : "";
  const latch = part(tile, "latch");
  text(latch, latchWords(doc, verdict));
  latch.title = [truth.absolute(doc.stop.at), doc.stop.reason].filter(Boolean).join(" · ");
  const waiting = part(tile, "approvals");
  waiting.hidden = !doc.approvals_waiting;
  text(waiting, `▲ ${doc.approvals_waiting} to approve`);
  part(tile, "reset").hidden = !(doc.stop.latched && rights.has("robot.reset"));
}

function latchWords(doc, verdict) {
  const held = truth.holder(doc, live.serverNow());
  const step = doc.sequence ? ` · step ${doc.sequence.step + 1} of ${doc.sequence.steps.length}` : "";
  if (!doc.stop.latched) return held ? `held by ${held}${step}` : "";
  const stopped = verdict.word.startsWith("Stop") ? "" : "stopped ";
  const trying = doc.stop.status === "confirmed" ? "" : ` · try ${doc.stop.attempts}`;
  return `${stopped}by ${doc.stop.by} ${truth.clock(doc.stop.at)}${trying}`;
}

// --- rails -----------------------------------------------------------------------------------------------------------
function renderRails(now) {
  for (const site of boot.sites) {
    const docs = [...robots.values()].filter((doc) => doc.site === site.name && doc.rail_m);
    if (docs.length === 0) continue;
    if (!rails.has(site.name)) rails.set(site.name, makeRail(site, docs.length));
    rails.get(site.name).show(docs.map((doc) => marker(doc, now)));
  }
}

function makeRail(site, count) {
  const block = document.getElementById("rail-template").content.firstElementChild.cloneNode(true);
  text(block.querySelector("h2"), site.name);
  const svg = block.querySelector("svg");
  svg.setAttribute("aria-label", `Where the robots are on the rail of ${site.name}; the tiles say the same in words.`);
  document.getElementById("rails").append(block);
  return new Rail(svg, site.rail_m, { lanes: Math.min(MOST_LANES, Math.max(1, count)) });
}

function marker(doc, now) {
  const at = truth.see(doc.readings.position_m, now);
  const title = `${doc.robot}: ${truth.quantity(at.value, at.unit)}${at.quality === "live" ? "" : `, ${truth.span(at.ageS)} old`}`;
  return { robot: doc.robot, at: at.value, live: at.quality === "live", level: verdictOn(doc, now).level, title };
}

// --- search, counts --------------------------------------------------------------------------------------------------
function is(doc, kind, now) {
  if (kind === "moving") return MOVING.includes(truth.see(doc.machine_state, now).value) && truth.see(doc.machine_state, now).quality === "live";
  return kind === "all" || verdictOn(doc, now).level !== "normal";
}

/** A search hides; a choice only dims, so that no tile moves under a finger when a robot changes. */
function renderChoice(now) {
  const wanted = document.getElementById("search").value.trim().toLowerCase();
  let found = 0;
  for (const [slug, tile] of tiles) {
    const doc = robots.get(slug);
    tile.hidden = !`${slug} ${doc.name} ${doc.site ?? ""}`.toLowerCase().includes(wanted);
    found += tile.hidden ? 0 : 1;
    flag(tile, "is-dimmed", !is(doc, filter, now));
  }
  document.getElementById("no-match").hidden = found > 0 || tiles.size === 0;
  for (const button of document.querySelectorAll("[data-filter]")) {
    attribute(button, "aria-pressed", String(button.dataset.filter === filter));
    const count = [...robots.values()].filter((doc) => is(doc, button.dataset.filter, now)).length;
    text(button.querySelector("b"), String(count));
  }
}

/** ▲1 ■0 ○4 in the bar. */
function renderTally(now) {
  const count = { warning: 0, critical: 0, nolink: 0 };
  for (const doc of robots.values()) {
    const { level } = verdictOn(doc, now);
    if (level === "warning" || level === "critical") count[level] += 1;
    // Offline is told beside whatever else is wrong; what this page has lost, it does not count as lost by the robot.
    if ((live.connected ? truth.modeNow(doc, now) : doc.mode) === "offline") count.nolink += 1;
  }
  const tally = document.getElementById("tally");
  if (!tally.firstChild) {
    for (const [level, shape, word] of [["critical", "■", "critical"], ["warning", "▲", "warning"], ["nolink", "○", "offline"]]) {
      tally.append(make("span", { "data-level": level, title: word }, shape, make("b", {}, "0"), make("span", { class: "spoken" }, ` ${word}`)));
    }
  }
  for (const block of tally.children) {
    text(block.querySelector("b"), String(count[block.dataset.level]));
    flag(block, "is-some", count[block.dataset.level] > 0);
  }
}

/** The link may be live and the data old all the same: then it is the reading of robots that has stopped. */
function renderTrouble(now) {
  const ages = [...robots.values()].filter((doc) => doc.enabled).map((doc) => truth.ageS(doc.machine_state.observed_at, now) ?? Infinity);
  const youngest = Math.min(...ages);
  const silent = live.truth.kind === "live" && ages.length > 1 && youngest > POLLER_SUSPECT_S;
  const how = youngest === Infinity ? "ever" : `for ${truth.span(youngest)}`;
  text(document.getElementById("fleet-trouble"), silent ? `▲ No robot has been read ${how}. The poll process may be down; robots keep doing what they were told.` : "");
}

function render() {
  document.body.dataset.connection = live.truth.kind;
  if (!document.getElementById("fleet")) return; // a guest's page
  const now = live.serverNow();
  for (const doc of robots.values()) renderTile(doc, now);
  renderRails(now);
  renderChoice(now);
  renderTally(now);
  renderTrouble(now);
}

/** A guest's page holds counts only. */
function begin() {
  const made = document.getElementById("made-at");
  if (made) text(made, truth.clock(boot.server_time));
  if (!document.getElementById("fleet")) return;
  for (const doc of boot.robots) take(doc);
  document.getElementById("search").addEventListener("input", render);
  for (const button of document.querySelectorAll("[data-filter]")) {
    button.addEventListener("click", () => {
      filter = button.dataset.filter;
      render();
    });
  }
  render();
  setInterval(render, RENDER_EVERY_MS);
  setInterval(() => live.subscribe(["fleet"]), LOOK_FOR_NEW_MS); // robots that were registered meanwhile
}

begin();
