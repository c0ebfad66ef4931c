/**
 * What every page has: the connection's truth, STOP, the theme, the keys, the first-use note.
 * Pages call `start` and get back what they need.
 */
import { data, flag, text } from "./dom.js";
import { Live } from "./live.js";
import { Lock } from "./lock.js";
import { Stops } from "./stop.js";
import { clock } from "./truth.js";

const NOTE_SEEN = "robotctl.stop-note-read";

/**
 * @param {{topics: string[], resumeFrom?: number|null}} options
 * @returns {{live: Live, stops: Stops, boot: Object}}
 */
export function start({ topics, resumeFrom = null }) {
  const boot = data("boot");
  const live = new Live({ topics, resumeFrom, serverTime: boot.server_time });
  const stops = new Stops({ live });
  let person = boot.user;
  live.on("truth", (truth) => showTruth(truth));
  live.on("hello", (hello) => {
    if (hello.user !== person) banner(`You are now signed in as ${hello.user}. This page was made for ${person}.`, "Reload", location.href);
    else if (bannerFor() === "ended") banner("");
    person = hello.user;
  });
  live.on("truth", (truth) => {
    if (truth.kind === "ended" && bannerFor() !== "ended") {
      banner("Your session has ended. What you see is getting old; STOP keeps trying, but is refused until you sign in.", "Sign in", signIn(), "ended");
    }
  });
  live.on("problem", (error) => banner(error.detail));
  plain();
  if (document.getElementById("lock")) new Lock();
  live.connect();
  return { live, stops, boot };
}

/** The parts that need no connection. */
export function plain() {
  theme();
  keys();
  firstUse();
}

// --- the connection --------------------------------------------------------------------------------------------------
/** @param {import("./live.js").Truth} truth */
function showTruth(truth) {
  const line = document.getElementById("link");
  const [shape, words] = truthWords(truth);
  text(line.querySelector(".shape"), shape);
  text(line.querySelector(".words"), words);
  line.title = truth.why ? `Why: ${truth.why}` : "The connection between this page and the server.";
  for (const kind of ["connecting", "live", "behind", "lost", "ended"]) flag(line, `is-${kind}`, kind === truth.kind);
  flag(document.body, "not-connected", truth.kind === "lost" || truth.kind === "ended");
  const spoken = { live: "Live", behind: "Behind", lost: "Connection lost, retrying", ended: "Signed out" }[truth.kind];
  if (spoken) text(document.getElementById("link-spoken"), spoken);
}

/** @param {import("./live.js").Truth} truth @returns {[string, string]} */
export function truthWords(truth) {
  switch (truth.kind) {
    case "live":
      return ["●", "live"];
    case "behind":
      return ["◐", `${truth.behindS.toFixed(1)} s behind`];
    case "lost":
      return ["○", `lost since ${clock(truth.since)}, retrying`];
    case "ended":
      return ["○", `signed out since ${clock(truth.since)}`];
    default:
      return ["○", "connecting"];
  }
}

function signIn() {
  return `/sign-in/?next=${encodeURIComponent(location.pathname)}`;
}

/** One line over the page for what concerns all of it. */
export function banner(words, action = "", href = "", kind = "") {
  const line = document.getElementById("banner");
  line.hidden = !words;
  line.dataset.kind = kind;
  text(line.querySelector("span"), words);
  const link = line.querySelector("a");
  link.hidden = !action;
  link.href = href || "#";
  text(link, action);
}

function bannerFor() {
  return document.getElementById("banner").dataset.kind;
}

// --- theme, keys, first use ------------------------------------------------------------------------------------------
function theme() {
  const buttons = [...document.querySelectorAll("[data-theme-choice]")];
  const show = () => {
    const chosen = document.documentElement.dataset.theme ?? "system";
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.themeChoice === chosen));
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const choice = button.dataset.themeChoice;
      if (choice === "system") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = choice;
      keep("robotctl.theme", choice);
      show();
    });
  }
  show();
}

/** `/` searches, `g f` goes to the fleet. No single key stops or moves a robot. */
function keys() {
  let before = "";
  addEventListener("keydown", (event) => {
    const writing = event.target.closest?.("input, textarea, select");
    if (event.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
    if (writing || event.ctrlKey || event.metaKey || event.altKey) return;
    const search = document.getElementById("search");
    if (event.key === "/" && search) {
      event.preventDefault();
      search.focus();
    }
    if (before === "g" && event.key === "f") location.href = "/";
    before = event.key;
    setTimeout(() => (before = ""), 1_500);
  });
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
}

function firstUse() {
  const note = document.getElementById("stop-first-use");
  if (!note) return;
  note.hidden = kept(NOTE_SEEN) === "yes";
  note.querySelector("button").addEventListener("click", () => {
    keep(NOTE_SEEN, "yes");
    note.hidden = true;
    document.getElementById("main").focus();
  });
}

function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // No storage: it is asked again on the next page.
  }
}

function kept(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}
