/**
 * What may be said of a robot NOW. Pure functions: documents and the server's time in, words and verdicts out.
 *
 * A document says what was true when it was made. A page may stand open while nothing arrives, so quality, age and mode
 * are computed again with the present time, by the same rules as on the server.
 *
 * @typedef {{value: any, unit: string, observed_at: string|null, age_s: number|null, quality: "live"|"stale"|"never",
 *            live_for_s: number}} Reading
 * @typedef {{value: any, unit: string, quality: "live"|"stale"|"never", ageS: number|null, observedAt: string|null,
 *            tooOld: boolean}} Seen
 * @typedef {{allowed: boolean, code: string|null, reason: string|null}} Verdict
 * @typedef {{latched: boolean, status: string|null, by: string|null, at: string|null, reason: string|null,
 *            sent_at: string|null, confirmed_at: string|null, left_at: string|null, attempts: number}} Stop
 * @typedef {{robot: string, name: string, site: string|null, rail_m: [number, number]|null, simulated: boolean,
 *            enabled: boolean, mode: string, machine_state: Reading, readings: Object<string, Reading>, stop: Stop,
 *            lease: {holder: string|null, since: string|null, until: string|null}, link: Object,
 *            commands?: Object<string, Verdict>, reset?: Verdict}} RobotDocument
 */

/** After so long a number is no longer shown as a number. */
export const NUMBER_SHOWN_S = 300;
/** The clocks of robotctl's own hosts. */
export const CLOCKS_AGREE_WITHIN_MS = 2_000;
/** What stands where there is nothing to show. */
export const NOTHING = "–";

const DECIMALS = { m: 2, "m/s": 2, "%": 0, s: 1, V: 1, A: 1, "°C": 1 };
const NAMES = { position_m: "position", speed_mps: "speed", battery_percent: "battery", target_m: "target" };

/**
 * Seconds between a moment of the server and its present time; never negative.
 * @param {string|null|undefined} at ISO-8601
 * @param {number} now the server's time, ms
 * @returns {number|null}
 */
export function ageS(at, now) {
  return at ? Math.max(0, (now - Date.parse(at)) / 1000) : null;
}

/** A time that has not come yet: some clock was set, and nobody knows how old this is; least of all is it fresh. */
function isAhead(at, now) {
  return Date.parse(at) - now > CLOCKS_AGREE_WITHIN_MS;
}

/**
 * A reading as it is now: how old, of what quality, and whether its number may still be shown.
 * @param {Reading|undefined} reading
 * @param {number} now
 * @returns {Seen}
 */
export function see(reading, now) {
  const age = reading ? ageS(reading.observed_at, now) : null;
  if (!reading || age === null) {
    return { value: null, unit: reading?.unit ?? "", quality: "never", ageS: null, observedAt: null, tooOld: false };
  }
  const tooOld = age > NUMBER_SHOWN_S && (typeof reading.value === "number" || reading.value === null);
  return {
    value: tooOld ? null : reading.value,
    unit: reading.unit,
    quality: age <= reading.live_for_s && !isAhead(reading.observed_at, now) ? "live" : "stale",
    ageS: age,
    observedAt: reading.observed_at,
    tooOld,
  };
}

/**
 * A robot's mode as it is now. When frames stop coming, "online" does not stand: the last contact ages here as well.
 * @param {RobotDocument} doc
 * @param {number} now
 * @returns {"online"|"degraded"|"offline"|"recovering"|"maintenance"|"disabled"}
 */
export function modeNow(doc, now) {
  if (!doc.enabled) return "disabled";
  if (doc.mode === "maintenance") return "maintenance";
  const silent = isAhead(doc.link.last_contact_at, now) ? null : ageS(doc.link.last_contact_at, now);
  if (silent === null || silent >= doc.link.offline_after_s) return "offline";
  if (silent > doc.link.live_for_s) return "degraded";
  return doc.mode === "offline" ? "recovering" : doc.mode;
}

/**
 * Whether a command may be sent now, and if not, why not in words: what holds for all, what this person may, and
 * whether this page still knows the robot.
 * @param {RobotDocument} doc
 * @param {string} name
 * @param {{rights: Set<string>, now: number, connected: boolean, motion: boolean, right: string, ended?: boolean, heldBy?: string|null}} with_
 *   heldBy: the other person who holds control
 * @returns {Verdict}
 */
export function mayCommand(doc, name, { rights, now, connected, motion, right, ended = false, heldBy = null }) {
  if (!rights.has(right)) return no("permission_denied", `Your role does not include ${right === "robot.jog" ? "jogging" : "commands"}.`);
  if (ended) return no("signed_out", "You are signed out.");
  if (!connected) return no("not_connected", "No connection to the server: this page does not know the robot's state.");
  const verdict = doc.commands?.[name] ?? no("unknown", "The server has not said whether this is allowed.");
  if (!verdict.allowed) return verdict;
  const mode = modeNow(doc, now);
  if (motion && mode !== "online") return no("mode_forbids", `The robot is ${mode}: ${modeWords(mode, doc.link)}.`);
  if (motion && see(doc.machine_state, now).quality !== "live") {
    return no("state_forbids", "The robot's state is not live; motion needs to know it.");
  }
  if (motion && heldBy) return no("lease_held", `${heldBy} holds control since ${clock(doc.lease.since, now)}.`);
  return verdict;
}

/** @returns {Verdict} */
function no(code, reason) {
  return { allowed: false, code, reason };
}

/**
 * What a mode means, in words.
 * @param {string} mode
 * @param {{failures: number, last_contact_at: string|null}|null} [link] without a failure, silence is ours and not the robot's
 */
export function modeWords(mode, link = null) {
  if (link?.failures === 0 && link.last_contact_at && (mode === "degraded" || mode === "offline")) {
    return "it has not been asked: the poll process may be down";
  }
  return {
    online: "it answers",
    degraded: "it does not answer as it should",
    offline: "it does not answer",
    recovering: "it answers again, and is being watched until it is steady",
    maintenance: "it is in maintenance",
    disabled: "it is disabled and is not read",
  }[mode] ?? mode;
}

/**
 * What needs a person's eye: the worst that is so, with the shape and the word it is shown with.
 * @param {RobotDocument} doc
 * @param {number} now
 * @param {boolean} [connected] false: silence is this page's, and says nothing of the robot
 * @returns {{level: "normal"|"warning"|"critical"|"nolink", shape: string, word: string}}
 */
export function attention(doc, now, connected = true) {
  const mode = modeNow(doc, now);
  if (doc.stop.latched && doc.stop.left_at) return mark("critical", "Left its stop by itself");
  if (doc.stop.latched && doc.stop.status !== "confirmed") return mark("critical", "Stop not confirmed");
  if (see(doc.machine_state, now).value === "fault") return mark("critical", "Fault");
  if (!connected && mode !== doc.mode && doc.enabled) return mark("nolink", "No news");
  if (mode === "offline") return mark("nolink", doc.link.last_contact_at ? "Offline" : "Never answered");
  if (doc.stop.latched) return mark("warning", "Stopped");
  if (see(doc.machine_state, now).value === "estopped") return mark("warning", "Stopped at the robot");
  if (mode === "degraded") return mark("warning", "Degraded");
  if (mode === "recovering") return mark("warning", "Recovering");
  if (see(doc.machine_state, now).quality !== "live" && mode === "online") return mark("warning", "State is not live");
  return { level: "normal", shape: "", word: { maintenance: "Maintenance", disabled: "Disabled" }[mode] ?? "Online" };
}

function mark(level, word) {
  return { level, shape: { warning: "▲", critical: "■", nolink: "○" }[level], word };
}

/** A field's name for people, when the page was given none. @param {string} name */
export function fieldName(name) {
  return NAMES[name] ?? name.replace(/_(m|mps|percent|s|v|a|c)$/, "").replaceAll("_", " ");
}

/**
 * A value without its unit; numbers with the decimals that its unit deserves.
 * @param {any} value
 * @param {string} unit
 */
export function number(value, unit) {
  if (value === null || value === undefined) return NOTHING;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return String(value);
  const digits = DECIMALS[unit] ?? (Number.isInteger(value) ? 0 : 2);
  const text = value.toFixed(digits);
  return Number(text) === 0 ? (0).toFixed(digits) : text; // never "-0.00"
}

/** "17.30 m". @param {any} value @param {string} unit */
export function quantity(value, unit) {
  const text = number(value, unit);
  return unit && text !== NOTHING ? `${text} ${unit}` : text;
}

/** "18 s", "4 min", "2 h", "3 d": a length of time in its largest whole unit. @param {number|null} s */
export function span(s) {
  if (s === null) return "never";
  if (s < 1) return "< 1 s";
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  return s < 172_800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86_400)} d`;
}

/** "14:02:11", with the day when it was not today. @param {string|number|null} at @param {number} [now] */
export function clock(at, now = Date.now()) {
  if (at === null || at === undefined) return NOTHING;
  const moment = new Date(at);
  const time = moment.toLocaleTimeString("en-GB", { hour12: false });
  if (moment.toDateString() === new Date(now).toDateString()) return time;
  const two = (part) => String(part).padStart(2, "0");
  return `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())} ${time}`;
}

/** The absolute time for a tooltip: local, and UTC as the server writes it. @param {string|null} at */
export function absolute(at) {
  return at ? `${new Date(at).toLocaleString("en-GB", { hour12: false })} local time (${at})` : "";
}

/**
 * When a robot whose breaker is not closed is asked again; empty while it is closed.
 * @param {RobotDocument} doc @param {number} now
 */
export function nextProbe(doc, now) {
  const { state, next_probe_at: at } = doc.link.breaker;
  if (state === "closed" || !at) return "";
  const left = (Date.parse(at) - now) / 1000;
  return left > 0 ? `next try in ${Math.ceil(left)} s` : "trying now";
}

/** Who holds control now: a lease ends by itself, news or not. @param {RobotDocument} doc @param {number} now */
export function holder(doc, now) {
  return doc.lease.holder && Date.parse(doc.lease.until) > now ? doc.lease.holder : null;
}
