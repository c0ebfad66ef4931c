// Chosen before the first paint, so that a page never flashes in the other colours. A classic script, in <head>.
try {
  const chosen = localStorage.getItem("robotctl.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // No storage: the system's choice stands.
}
