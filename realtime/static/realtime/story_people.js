/** The journal in words: people, rights, configuration and the record itself. What robots do is in story.js. */

/** @typedef {{words: string, detail: string, level: "normal"|"warning"|"critical"|"nolink"}} Told */

/** @returns {Told} */
export function told(words, detail = "", level = "normal") {
  return { words, detail: detail ?? "", level };
}

const counted = (row) => (row.data.count > 1 ? `${row.data.count} times` : "");
const changes = (row) => Object.entries(row.data.changes ?? {}).map(([field, pair]) => change(field, pair)).join("; ");

function change(field, pair) {
  const name = field.replaceAll("_", " ");
  return Array.isArray(pair) ? `${name}: ${plain(pair[0])} → ${plain(pair[1])}` : `${name}: changed`;
}

function plain(value) {
  return value === null || value === "" || value === "None" ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** `created`, `changed` and `deleted` of what is configured, with before and after. */
const configured = (kind, verbs = ["created", "changed", "deleted"]) =>
  verbs.map((verb) => [`${kind}.${verb}`, (row) => told(`${kind[0].toUpperCase()}${kind.slice(1)} ${verb}`, [row.reason, verb === "changed" ? changes(row) : ""].filter(Boolean).join(" · "), verb === "deleted" ? "warning" : "normal")]);

export const PEOPLE = {
  "auth.signed_in": () => told("Signed in"),
  "auth.signed_out": (row) => told("Signed out", row.reason),
  "auth.signed_out_everywhere": (row) => told("Signed out everywhere", `${row.data.sessions} sessions, ${row.data.api} API tokens ended`),
  "auth.sign_in_failed": (row) => told("Sign-in failed", counted(row), "warning"),
  "auth.locked_out": (row) => told(`Locked out, by ${row.data.by}`, `after ${row.data.count} failures, until ${row.data.until}`, "warning"),
  "auth.unlocked": () => told("May try to sign in again"),
  "auth.password_changed": () => told("Changed the password"),
  "auth.password_set": () => told("Password set by somebody else", "", "warning"),
  "auth.link_issued": (row) => told(`Link made: ${row.data.kind}`, `good until ${row.data.expires_at}`),
  "auth.factor_set_up": () => told("Second factor set up"),
  "auth.factor_removed": (row) => told("Second factor turned off", row.reason, "warning"),
  "auth.recovery_code_used": (row) => told("Recovery code used", `${row.data.left} are left`, "warning"),
  "auth.token_issued": (row) => told("API token made", row.data.name ?? ""),
  "auth.token_revoked": () => told("API token revoked"),
  "auth.session_ended": () => told("Session ended"),
  "auth.session_unlocked": () => told("Session unlocked"),
  "access.unauthenticated": (row) => told("Refused: not signed in", counted(row), "warning"),
  "access.denied": (row) => told("Refused: not allowed", row.reason, "warning"),
  "access.hidden": () => told("Refused: may not see it", "", "warning"),
  "access.throttled": (row) => told("Refused: too many requests", counted(row), "warning"),
  "access.too_large": (row) => told("Refused: too large", counted(row), "warning"),
  "user.registered": () => told("Registered"),
  "user.forgotten": (row) => told("Person's data deleted", row.reason, "warning"),
  "user.groups_changed": (row) => told("Groups changed", row.data.groups.map((names) => names.join(", ") || "none").join(" → ")),
  "users.exported": (row) => told("People exported", `${row.data.count} people`),
  "group.members_changed": (row) => told("Members of the group changed", row.data.members.map((names) => names.join(", ") || "nobody").join(" → ")),
  "grant.ended": (row) => told("Grant has ended", row.reason),
  "robot.credentials_changed": () => told("Credentials changed", "", "warning"),
  "robot.probed": (row) => told("Connection tried", row.data.detail ?? ""),
  "system.started": (row) => told(`Started: ${row.target}`, row.data.version ? `version ${row.data.version}` : ""),
  "system.stopped": (row) => told(`Stopped: ${row.target}`),
  "system.upgraded": (row) => told(`Upgraded: ${row.data.before} → ${row.data.after}`),
  "system.migrated": (row) => told("Database migrated", (row.data.applied ?? []).join(", ")),
  "journal.exported": (row) => told("Journal exported", row.data.rows === undefined ? "" : `${row.data.rows} rows`),
  "journal.archived": (row) => told("Rows moved to the archive", [row.data.file, row.reason].filter(Boolean).join(" · "), "warning"),
  "journal.maintenance": (row) => told("Maintenance of the journal", row.reason, "warning"),
  "journal.broken": (row) => told("A check found the record altered", (row.data.findings ?? []).map((one) => one.words).join(" "), "critical"),
  "report.viewed": (row) => told(`Report viewed: ${row.target}`),
  ...Object.fromEntries([...configured("user"), ...configured("role"), ...configured("grant", ["created", "deleted"]), ...configured("robot"), ...configured("site"), ...configured("group")]),
};
