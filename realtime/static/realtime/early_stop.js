/**
 * A press of STOP while the page is still being put together is kept, and fires as soon as the modules are there (stop.js).
 * A script of its own, and no module: it runs before the first button is shown.
 */
window.earlyStops = new Set();
window.keepEarlyStop = (event) => {
  const button = event.target.closest?.("[data-stop]");
  if (button) window.earlyStops.add(button);
};
document.addEventListener("click", window.keepEarlyStop, true);
