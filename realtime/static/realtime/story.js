/**
 * The journal in words for people.
 *
 * @typedef {{id: number, at: string, actor: string, verb: string, target: string, robot: string|null, outcome: string,
 *            reason: string, data: Object}} Row
 * @typedef {{words: string, detail: string, level: "normal"|"warning"|"critical"|"nolink"}} Told
 */
import { PEOPLE, told } from "./story_people.js";
import { quantity } from "./truth.js";

const UNITS = { _m: "m", _mps: "m/s", _mps2: "m/s²", _s: "s", _percent: "%" };
const SHAPES = { normal: "", warning: "▲", critical: "■", nolink: "○" };

const WORDS = {
  "robot.online": () => told("Online: the robot answers"),
  "robot.degraded": (row) => told("Degraded", row.reason, "warning"),
  "robot.retired": (row) => told("Taken out of service for good", row.reason),
  "robot.offline": (row) => told("Offline", row.reason, "nolink"),
  "robot.recovering": (row) => told("Recovering", row.reason),
  "robot.restarted": (row) => told("The robot has restarted", restartWords(row.data), "warning"),
  "robot.state_changed": (row) => told(`The robot reads ${row.data.now}`, row.reason ? `It was ${row.data.was}. ${row.reason}` : `It was ${row.data.was}.`, row.outcome === "ok" ? "normal" : "critical"),
  "robot.clock_set_back": (row) => told("The clock was set back", row.reason, "warning"),
  "command.interrupted": (row) => told(`${commandWords(row.data)}: interrupted`, row.data.detail, "critical"),
  "robot.setup": (row) => told(`Set-up: ${row.data.title}`, row.data.detail ?? "the robot answered", row.outcome === "ok" ? "normal" : "warning"),
  "robot.setup_requested": (row) => told(`Set-up: ${row.data.title}`, "asked for by its profile"),
  "setting.desired": (row) => told(`Wanted: ${row.data.setting} = ${row.data.after}`, row.reason),
  "command.job_failed": (row) => told(`${commandWords(row.data)}: its job ${row.outcome === "failed" ? "failed" : "is followed no further"}`, row.data.why, "warning"),
  "robot.maintenance": (row) => told("Maintenance", row.reason),
  "command.accepted": (row) => told(`${commandWords(row.data)}: accepted`, row.reason),
  "command.awaiting_approval": (row) => told(`${commandWords(row.data)}: waits for a second person`, row.reason, "warning"),
  "command.approved": (row) => told(`${commandWords(row.data)}: approved, sending`, row.data.note),
  "command.released": (row) => told(`${commandWords(row.data)}: let go, halting`, row.data.why === "the button" ? "" : row.data.why),
  "command.acknowledged": (row) => told(`${commandWords(row.data)}: the robot answered`, row.data.message ?? ""),
  "command.confirmed": (row) => told(`${commandWords(row.data)}: the robot shows that it obeys ✓`),
  "command.done": (row) => told(`${row.target}: done ✓`),
  "command.refused": (row) => told(`${commandWords(row.data, row.target)}: refused`, row.data.detail ?? firstError(row.data.errors), "warning"),
  "command.rejected": (row) => told(`${commandWords(row.data)}: the robot refused`, row.data.detail, "warning"),
  "command.failed": (row) =>
    told(`${commandWords(row.data)}: ${row.data.code === "not_obeyed" ? "the robot does not obey" : "failed"}`, row.data.detail, "critical"),
  "command.expired": (row) => told(`${commandWords(row.data)}: expired unsent`, row.data.detail, "warning"),
  "command.cancelled": (row) => told(`${commandWords(row.data)}: cancelled`, row.data.detail),
  "command.answered_late": (row) =>
    told(`${commandWords(row.data)}: the robot answered after all`, `${row.data.reply ? `“${row.data.reply}”. ` : ""}What it did is for its state to tell.`, "warning"),
  "command.outcome_unknown": (row) => told(`${commandWords(row.data)}: outcome unknown`, row.data.detail, "critical"),
  "stop.requested": (row) => told("STOP", row.reason, "warning"),
  "stop.confirmed": (row) => told(`Stop confirmed${row.data.took_s === null || row.data.took_s === undefined ? "" : ` · ${row.data.took_s.toFixed(2)} s`} ✓`),
  "stop.sent": (row) => told("Stop sent, not yet read as stopped", row.reason, "warning"),
  "stop.not_confirmed": (row) => told("Stop NOT CONFIRMED, trying again", row.reason, "critical"),
  "stop.left": () => told("The robot left its stop by itself", "robotctl does not stop it again by itself.", "critical"),
  "reset.requested": (row) => told("Reset asked for", row.reason),
  "reset.confirmed": (row) => told("Reset: the stop is lifted ✓", row.data.detail),
  "reset.rejected": (row) => told("Reset: the robot refused", row.data.detail, "warning"),
  "reset.failed": (row) => told("Reset failed: the stop stays", row.data.detail, "warning"),
  "reset.outcome_unknown": (row) => told("Reset: outcome unknown, the stop stays", row.data.detail, "critical"),
  "reset.refused": (row) => told("Reset refused", row.data.detail ?? row.data.code, "warning"),
  "sequence.started": (row) => told(`Sequence of ${row.data.steps.length} steps begins`, row.data.steps.map((step) => commandWords(step)).join(" → ")),
  "sequence.done": (row) => told("Sequence: done ✓", row.data.detail),
  "sequence.failed": (row) => told("Sequence has ended early", row.data.detail, "critical"),
  "sequence.cancelled": (row) => told("Sequence: no further step is sent", row.data.detail, "warning"),
  "command.resolved": (row) => told(`${commandWords(row.data)}: resolved by a person`, row.data.note),
  "stop.ended_unconfirmed": (row) => told("Taken out of service, its stop never confirmed", row.reason, "warning"),
  "lease.taken": () => told("Took control"),
  "lease.released": () => told("Gave control back"),
  "lease.ended": (row) => told(`Control of ${row.data.holder} ended`, row.reason),
  "lease.broken": (row) => told(`Broke the control of ${row.data.holder}`, row.reason, "warning"),
  "lease.refused": (row) => told("Control refused", row.data.code, "warning"),
  "breaker.opened": (row) => told("Circuit breaker opened: only probes and stop go out", row.reason, "nolink"),
  "breaker.probed": (row) => told(`Probe ${row.data.probes}: no answer`, row.data.error, "nolink"),
  "breaker.closed": (row) => told(row.data.probes ? `Circuit breaker closed after ${row.data.probes} failed probe${row.data.probes === 1 ? "" : "s"}` : "Circuit breaker closed", row.reason),
  "breaker.reset": (row) => told("Circuit breaker reset, it was closed", row.reason),
  ...PEOPLE,
  "link.abandoned": (row) => told("A request was given up unanswered", row.reason, "warning"),
};

/** What a search may offer. */
export const VERBS = Object.keys(WORDS).sort();

/** A row in words. What has none of its own is told by its verb. @param {Row} row @returns {Told & {shape: string}} */
export function tell(row) {
  const known = WORDS[row.verb];
  const plain = told(row.verb.replaceAll(".", " ").replaceAll("_", " "), row.reason, row.outcome === "ok" ? "normal" : "warning");
  const result = known ? known(row) : plain;
  return { ...result, shape: SHAPES[result.level] };
}

/** "move to 42.00 m". @param {{name?: string, params?: Object}} command @param {string} [otherwise] */
export function commandWords(command, otherwise = "command") {
  const name = command.name ?? otherwise;
  const params = Object.entries(typeof command.params === "object" ? (command.params ?? {}) : {});
  const told = params.filter(([, value]) => value !== null).map(([key, value]) => paramWords(key, value)).join(", ");
  return told ? `${name} ${told}` : name;
}

function paramWords(key, value) {
  const ending = Object.keys(UNITS).find((one) => key.endsWith(one));
  const unit = ending ? UNITS[ending] : "";
  const before = key === "target_m" ? "to " : unit ? "" : `${key} `;
  if (value !== null && typeof value === "object") return Object.entries(value).map(([name, one]) => `${name} ${one}`).join(", ");
  return `${before}${typeof value === "number" ? quantity(value, unit) : value}`;
}

/** Which counter told of the restart, and how. @param {Object<string, [number, number]>} data field → before, after */
function restartWords(data) {
  const [found] = Object.entries(data ?? {});
  if (!found) return "";
  const [name, [before, after]] = found;
  const counter = name.replaceAll("_", " ");
  return after < before
    ? `Its counter "${counter}" fell from ${quantity(before, "")} to ${quantity(after, "")}.`
    : `Its counter "${counter}" reads ${quantity(after, "")}: less than the time that has passed.`;
}

function firstError(errors) {
  const [first] = Object.values(errors ?? {});
  return Array.isArray(first) ? String(first[0]) : "";
}
