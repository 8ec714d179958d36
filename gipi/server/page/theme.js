// Light or dark as a person chose it, set before the first paint: a module would come too late, the page would flash.
// No choice means the system's own setting, which the style sheet follows by itself.

try {
  const chosen = localStorage.getItem("gipi-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // a browser that keeps nothing for us: the system's setting then
}
