/** The second person: agree to what somebody else asked for, or take it back. One form for each command that waits. */
import { call, NoAnswer, words } from "./api.js";
import { make, text } from "./dom.js";

/** What somebody is typing outlives a new list. @type {Map<string, HTMLElement>} */
const forms = new Map();

/**
 * @param {import("./commands.js").Command} row
 * @param {{mine: boolean, mayApprove: boolean, mayCancel: boolean}} person
 * @param {(row: import("./commands.js").Command) => void} done
 */
export function approvalForm(row, person, done) {
  const key = `${row.id} ${person.mine} ${person.mayApprove} ${person.mayCancel}`;
  if (!forms.has(key)) forms.set(key, build(row, person, done));
  return forms.get(key);
}

function build(row, { mine, mayApprove, mayCancel }, done) {
  const note = make("input", { id: `approval-${row.id}`, type: "text", maxlength: 500, autocomplete: "off" });
  const outcome = make("p", { class: "outcome is-warning", role: "status" });
  const act = (name) => async (event) => {
    event.preventDefault();
    try {
      const answer = await call("POST", `commands/${row.id}/${name}/`, { body: { reason: note.value.trim() } });
      if (answer.ok) done(answer.body);
      else text(outcome, `▲ ${words(answer)}`);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      text(outcome, `▲ ${error.message} Whether it was taken is unknown: the list will show it.`);
    }
  };
  const buttons = [];
  if (mayApprove && !mine) buttons.push(make("button", { type: "submit", class: "approve" }, "Approve and send"));
  if (mayCancel) buttons.push(make("button", { type: "button", class: "take-back" }, mine ? "Take back" : "Decline"));
  const said = mine ? "A second person must agree." : mayApprove ? "You are the second person: it is sent when you agree." : "A second person with the right to approve must agree.";
  const form = make("form", { class: "resolve" }, make("p", { class: "small" }, said));
  if (buttons.length) form.append(make("label", { for: note.id }, "Note (optional)"), note, ...buttons, outcome);
  form.addEventListener("submit", mayApprove && !mine ? act("approve") : (event) => event.preventDefault());
  form.querySelector(".take-back")?.addEventListener("click", act("cancel"));
  return form;
}
