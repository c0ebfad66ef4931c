/**
 * Commands as they live: one row each, never going backwards, whatever order the news comes in.
 *
 * @typedef {{id: number, name: string, params: Object, status: string, code: string|null, detail: string, reason: string,
 *            requested_by: string|null, created_at: string, sent_at: string|null, answered_at: string|null,
 *            ended_at: string|null, done_at: string|null, attempts: number}} Command
 * @typedef {{steps: string, level: "normal"|"warning"|"critical", shape: string, todo: string}} Life
 */

/** So long after its deadline a command that has not ended is not followed by anybody any more. */
const NO_NEWS_MS = 30_000;
const ORDER = ["awaiting_approval", "accepted", "sending", "acknowledged"];

/** How far along a status is; whatever ends a command comes last. */
function rank(status) {
  const place = ORDER.indexOf(status);
  return place < 0 ? ORDER.length : place;
}

export class Commands {
  /** @param {Command[]} rows @param {number} most */
  constructor(rows, most) {
    this.most = most;
    /** @type {Map<number, Command>} */
    this.rows = new Map();
    for (const row of rows) this.merge(row);
  }

  /** Newest first. @returns {Command[]} */
  get list() {
    return [...this.rows.values()].sort((a, b) => b.id - a.id).slice(0, this.most);
  }

  /** @param {Partial<Command> & {id: number}} news */
  merge(news) {
    const old = this.rows.get(news.id);
    if (old && news.status && rank(news.status) < rank(old.status)) return;
    const kept = Object.fromEntries(Object.entries(news).filter(([, value]) => value !== null && value !== undefined));
    this.rows.set(news.id, { ...BLANK, ...old, ...kept });
  }

  /** A journal row that tells of a command. Returns its id. @param {import("./story.js").Row} row */
  hear(row) {
    const id = row.data.command;
    if (!id || (row.verb === "command.done" && !this.rows.has(id))) return null;
    const { name, params, code, detail } = row.data;
    const told = row.verb.slice("command.".length);
    const status = ["done", "released", "interrupted"].includes(told) ? undefined : told === "approved" ? "accepted" : told;
    this.merge({ id, name, params, status, code, detail, ...times(row) });
    return id;
  }
}

const BLANK = { code: null, detail: "", reason: "", requested_by: null, sent_at: null, answered_at: null, ended_at: null, done_at: null, attempts: 0 };

/** Which of its times a row tells. "Acknowledged" may be the end; then the row in full says so. */
function times(row) {
  if (["command.accepted", "command.awaiting_approval"].includes(row.verb)) return { created_at: row.at, requested_by: row.actor, deadline_at: row.data.deadline_at };
  if (row.verb === "command.approved") return { approved_by: row.actor, deadline_at: row.data.deadline_at };
  if (row.verb === "command.interrupted") return {};
  if (row.verb === "command.done") return { done_at: row.at };
  return row.verb === "command.acknowledged" ? { answered_at: row.at } : { ended_at: row.at };
}

/**
 * A command's life so far, and what a person should do.
 * @param {Command} row
 * @param {number} now the server's time
 * @returns {Life}
 */
export function life(row, now) {
  const ended = row.ended_at !== null;
  if (!ended && row.deadline_at && now - Date.parse(row.deadline_at) > NO_NEWS_MS) {
    return step(`${row.status} → no news since`, "critical", "robotctl has lost track of it: what the robot did is unknown. Look at its state before you send anything else.");
  }
  switch (row.status) {
    case "awaiting_approval":
      return step(row.deadline_at ? `waiting for a second person · ${left(row.deadline_at, now)}` : "waiting for a second person", "warning");
    case "accepted":
      return step("accepted → sending …");
    case "sending":
      return step("accepted → sent → waiting for the robot's answer …");
    case "acknowledged":
      return ended
        ? step("accepted → sent → robot answered; it reports nothing that could confirm it", "warning", "Look at the robot.")
        : step("accepted → sent → robot answered → watching whether it obeys …");
    case "confirmed":
      if (row.code === "interrupted") return step("accepted → sent → robot showed it → interrupted ✗", "critical", "It was not finished, and is not taken up again. Look at the robot.");
      return step(`accepted → sent → robot shows it ✓${row.done_at ? " → done ✓" : ""}`);
    case "failed":
      return failed(row);
    case "rejected":
      return step("accepted → sent → the robot refused", "warning", "Change what you ask for, or the robot's state.");
    case "expired":
      return step("accepted → expired, never sent", "warning", "Nothing was begun. Send it again if you still want it.");
    case "cancelled":
      return step("accepted → cancelled, never sent", "warning", "Nothing was begun.");
    case "outcome_unknown":
      return step("accepted → sent → outcome unknown", "critical", "The robot may be doing it. It is not sent again. Look at its state; press STOP if in doubt; send it again only when you know.");
    default:
      return step(row.status.replaceAll("_", " "));
  }
}

function failed(row) {
  if (row.code === "not_obeyed") {
    return step("accepted → sent → robot answered → it does not obey", "critical", "It answered, but its state did not follow. Look at the robot before you send anything else; press STOP if it moves.");
  }
  return step("accepted → not delivered", "warning", "Nothing was begun. See the link, then send it again.");
}

/** @param {string} until @param {number} now */
function left(until, now) {
  const minutes = Math.max(0, Math.ceil((Date.parse(until) - now) / 60_000));
  return minutes ? `${minutes} min left` : "expired";
}

/** @returns {Life} */
function step(steps, level = "normal", todo = "") {
  return { steps, level, shape: { normal: "", warning: "▲", critical: "■" }[level], todo };
}
