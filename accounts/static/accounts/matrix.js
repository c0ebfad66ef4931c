/**
 * The matrix of rights: what was ticked or unticked and is not saved yet is marked in its cell and told in words, and the rights of
 * a resource can be folded away. Without this script the grid is the same form.
 */
const form = document.getElementById("matrix-form");
const told = document.getElementById("matrix-changes");
const undo = document.getElementById("matrix-undo");

/** @param {HTMLInputElement} box */
function show(box) {
  box.dataset.words ??= box.getAttribute("aria-label");
  const cell = box.closest("td");
  if (box.checked === box.defaultChecked) {
    delete cell.dataset.change;
    box.setAttribute("aria-label", box.dataset.words);
  } else {
    cell.dataset.change = box.checked ? "given" : "taken";
    box.setAttribute("aria-label", `${box.dataset.words}, to be ${cell.dataset.change}`);
  }
}

function tell() {
  const changed = [...form.querySelectorAll("td[data-change] input[type=checkbox]")];
  const words = changed.map((box) => `${box.checked ? "+" : "−"} ${box.value.replace(":", " ")}`);
  told.textContent = changed.length ? `${changed.length} not saved: ${words.join(", ")}` : "Nothing is changed.";
  undo.disabled = !changed.length;
}

form.addEventListener("change", (event) => {
  show(event.target);
  tell();
});

form.addEventListener("reset", () =>
  setTimeout(() => {
    form.querySelectorAll("td[data-change] input[type=checkbox]").forEach(show);
    tell();
  }),
);

for (const button of form.querySelectorAll("button[aria-controls]")) {
  button.addEventListener("click", () => {
    const rows = document.getElementById(button.getAttribute("aria-controls"));
    rows.hidden = !rows.hidden;
    button.setAttribute("aria-expanded", String(!rows.hidden));
  });
}
