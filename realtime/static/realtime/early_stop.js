/**
 * A press of STOP while the page is still being put together is kept, said to be not sent yet, and fires as soon as the modules are
 * there (stop.js). A script of its own, and no module: it runs before the first button is shown.
 */
window.earlyStops = new Map(); // the button, and when it was pressed first
window.keepEarlyStop = (event) => {
  const button = event.target.closest?.("[data-stop]");
  if (!button || window.earlyStops.has(button)) return;
  window.earlyStops.set(button, Date.now());
  for (const note of document.querySelectorAll("[data-stop-note]")) {
    if (note.dataset.stopNote !== button.dataset.stop) continue;
    note.dataset.rest ??= note.textContent;
    note.textContent = "■ NOT SENT yet · the page is still loading";
    note.classList.add("is-critical");
  }
};
document.addEventListener("click", window.keepEarlyStop, true);
