/** What a person saw of a command whose outcome nobody knows: written down once, with their name. */
import { call, NoAnswer, words } from "./api.js";
import { make, text } from "./dom.js";

/** One form for each command: what somebody is typing outlives a new list. @type {Map<number, HTMLElement>} */
const forms = new Map();

/** @param {import("./commands.js").Command} row @param {(row: import("./commands.js").Command) => void} done */
export function resolveForm(row, done) {
  if (!forms.has(row.id)) forms.set(row.id, build(row.id, done));
  return forms.get(row.id);
}

function build(id, done) {
  const note = make("input", { id: `note-${id}`, type: "text", maxlength: 500, required: true, autocomplete: "off" });
  const outcome = make("p", { class: "outcome is-warning", role: "status" });
  const form = make("form", { class: "resolve" }, make("label", { for: note.id }, "What did you see at the robot?"), note, make("button", { type: "submit" }, "Resolve"), outcome);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!note.value.trim()) return;
    try {
      const answer = await call("POST", `commands/${id}/resolve/`, { body: { note: note.value.trim() } });
      if (answer.ok) done(answer.body);
      else text(outcome, `▲ ${words(answer)}`);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      text(outcome, `▲ ${error.message}`);
    }
  });
  return form;
}
