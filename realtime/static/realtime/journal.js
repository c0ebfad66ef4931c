/** The journal page: is the record whole, what does it hold, and what is being added to it now. */
import { call, NoAnswer, words } from "./api.js";
import { make, part, text } from "./dom.js";
import { start } from "./page.js";
import { tell, VERBS } from "./story.js";
import { Record } from "./record.js";
import * as truth from "./truth.js";

/** @typedef {import("./story.js").Row} Row */

const by = (id) => document.getElementById(id);
const form = by("filter");
const { live, boot } = start({ topics: ["journal"], resumeFrom: JSON.parse(by("boot").textContent).last_event });
const record = new Record(by("record"), { now: () => live.serverNow(), mark });
const also = new Map();
let next = null;
let newer = 0;
let asked = 0;

// --- the search ------------------------------------------------------------------------------------------------------
/** What is asked for, as the API takes it: times are UTC. */
function wanted() {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (value.trim()) query.set(name, name === "since" || name === "until" ? `${value}Z` : value.trim());
  }
  for (const [name, value] of also) query.set(name, value);
  return query;
}

/** What another page asked for. What the form has no field for is asked for all the same, and said. */
function fill() {
  by("filter-more").open = innerWidth > 768 || new URLSearchParams(location.search).size > 0;
  for (const [name, value] of new URLSearchParams(location.search)) {
    const field = form.elements[name];
    if (!field) also.set(name, value);
    else if (name === "since" || name === "until") field.value = value.replace(/Z$/, "").slice(0, 19);
    else {
      if (field.options && ![...field.options].some((one) => one.value === value)) field.append(new Option(value.replaceAll(",", " or "), value));
      field.value = value;
    }
  }
}

async function search() {
  const query = wanted();
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  for (const kind of ["jsonl", "csv"]) {
    const link = by(`export-${kind}`);
    if (link) link.href = `/api/v1/journal/export/?${new URLSearchParams([...query, ["as", kind]])}`;
  }
  by("also").hidden = also.size === 0;
  text(by("also"), `Only rows with ${[...also].map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`).join(", ")}. Clear shows all.`);
  const body = await ask(`journal/?${query}`);
  if (!body) return;
  by("rows").replaceChildren();
  newer = 0;
  show(body);
}

function show(body) {
  by("rows").append(...body.results.map((row) => item(row)));
  next = body.next;
  by("older").hidden = next === null;
  by("newer").hidden = newer === 0;
  by("empty").hidden = by("rows").children.length > 0;
}

/** One answer at a time counts: the last that was asked for. */
async function ask(path) {
  const mine = ++asked;
  try {
    const answer = await call("GET", path, { timeoutMs: 30_000 });
    if (mine !== asked) return null;
    complain(answer);
    return answer.ok ? answer.body : null;
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    if (mine === asked) trouble(error.message);
    return null;
  }
}

function complain(answer) {
  const errors = answer.ok ? {} : (answer.body?.errors ?? {});
  for (const field of form.elements) if (field.name) field.setAttribute("aria-invalid", String(field.name in errors));
  trouble(answer.ok ? "" : Object.values(errors).flat().join(" ") || words(answer));
}

function trouble(said) {
  by("trouble").hidden = !said;
  text(by("trouble"), said);
}

// --- what comes in ---------------------------------------------------------------------------------------------------
/** @param {Row} row */
function hear(row) {
  if (by("rows").querySelector(`[data-id="${row.id}"]`)) return;
  if (wanted().size === 0 && scrollY < 400) {
    by("rows").prepend(item(row));
    by("empty").hidden = true;
    while (by("rows").children.length > 1_000) by("rows").lastChild.remove();
    return;
  }
  newer += 1;
  by("newer").hidden = false;
  text(by("newer"), `${newer} new row${newer === 1 ? "" : "s"} in the record since this search · search again`);
}

/** @param {Row} row */
function item(row) {
  const { words: said, detail, level, shape } = tell(row);
  const when = make("td", { class: "when" }, make("time", { datetime: row.at }, stamp(row.at)), row.late ? make("span", { class: "small is-warning" }, " ▲ late") : "", make("strong", { class: "broken" }, "■ not as it was sealed"));
  const what = make("td", {}, make("p", { class: `is-${level}` }, shape ? `${shape} ` : "", said));
  if (detail) what.append(make("p", { class: "small quiet" }, detail));
  const on = [row.robot, row.target === row.robot ? "" : row.target].filter(Boolean).join(" · ");
  const outcome = make("td", {}, { ok: "ok", denied: "▲ denied", failed: "■ failed", unknown: "■ unknown" }[row.outcome] ?? row.outcome);
  const more = make("button", { type: "button", class: "plain", "aria-expanded": "false", "aria-label": `All of row ${row.id}` }, `#${row.id}`);
  const line = make("tr", { "data-id": row.id, "data-verb": row.verb }, when, make("td", {}, row.actor), what, make("td", {}, on), outcome, make("td", {}, more));
  more.addEventListener("click", () => open(line, row, more));
  if (record.isFound(row.id)) line.classList.add("is-found");
  return line;
}

/** All that the row holds. */
function open(line, row, button) {
  const shown = line.nextElementSibling?.classList.contains("whole");
  button.setAttribute("aria-expanded", String(!shown));
  if (shown) return line.nextElementSibling.remove();
  const facts = [["Verb", row.verb], ["Reason", row.reason], ["Address", row.address], ["Browser or program", row.user_agent], ["Found", record.found(row.id)]];
  const list = make("dl", { class: "facts" });
  for (const [name, value] of facts) if (value) list.append(make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  const chain = row.request_id ? make("a", { href: `/journal/chain/${encodeURIComponent(row.request_id)}/` }, `All that request ${row.request_id.slice(0, 8)}… led to`) : "";
  const cell = make("td", { colspan: "6" }, list, make("p", {}, chain), make("pre", { tabindex: "0", "aria-label": "Data" }, JSON.stringify(row.data, null, 2)));
  line.after(make("tr", { class: "whole" }, cell));
  if (row.address === undefined) fetchWhole(row, line, button); // heard over the socket, which carries no addresses
}

async function fetchWhole(row, line, button) {
  const answer = await call("GET", `journal/${row.id}/`);
  if (!answer.ok || !line.nextElementSibling?.classList.contains("whole")) return;
  Object.assign(row, answer.body);
  line.nextElementSibling.remove();
  open(line, row, button);
}

/** 2026-11-27 14:02:09.123 */
function stamp(at) {
  return at.replace("T", " ").replace("Z", "");
}

/** Rows that a check has found not to be what was sealed. @param {(id: number) => boolean} isFound */
function mark(isFound) {
  for (const line of by("rows").children) if (line.dataset.id) line.classList.toggle("is-found", isFound(Number(line.dataset.id)));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
form.addEventListener("reset", () => {
  also.clear();
  setTimeout(search); // the fields are emptied after this
});
by("newer").addEventListener("click", search);
by("older").addEventListener("click", async () => {
  const body = await ask(`journal/?${new URL(next, location.href).searchParams}`);
  if (body) show(body);
});
by("verbs").append(...VERBS.map((verb) => make("option", { value: verb })));
live.on("event", hear);
live.on("event", (row) => {
  if (row.verb.startsWith("journal.")) record.ask(); // a check that has found something is not waited for
});
live.on("gap", search);
fill();
search();
record.begin();
