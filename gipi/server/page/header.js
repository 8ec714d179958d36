// What stands above: the switch between models, the language, light or dark.

import { button, make } from "./dom.js";
import { language, say, speak } from "./words.js";

/** Build the switches anew; `choose(name)` and `retold()` are called when the model or the language is another. */
export function buildHeader({ models, model }, { choose, retold }) {
  const skip = document.getElementById("skip");
  skip.textContent = say("skip");
  document.getElementById("switches").replaceChildren(
    ...(models.length > 1 ? [modelSwitch(models, model, choose)] : []), languageSwitch(retold), themeSwitch());
}

function modelSwitch(models, model, choose) {
  const options = models.map(({ name }) => make("option", { value: name, text: name, selected: name === model }));
  const select = make("select", { id: "model", on: { change: () => choose(select.value) } }, ...options);
  return make("label", { class: "switch" }, make("span", { text: say("model") }), select);
}

function languageSwitch(retold) {
  const [next, name] = language() === "ko" ? ["en", "English"] : ["ko", "한국어"];
  return button(name, () => {
    remember("gipi-language", next);
    speak(next);
    retold();
    document.getElementById("language").focus(); // the button of before is gone
  }, { id: "language", class: "quiet", lang: next });
}

/** The language that was chosen, or the browser's own. */
export function firstLanguage() {
  const chosen = remembered("gipi-language");
  if (chosen) return chosen;
  return navigator.language.toLowerCase().startsWith("ko") ? "ko" : "en";
}

function themeSwitch() {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const flip = button("", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember("gipi-theme", root.dataset.theme);
    name();
  }, { id: "theme", class: "quiet icon" });

  function name() {
    flip.textContent = isDark() ? "☀" : "☾";
    flip.setAttribute("aria-label", say(isDark() ? "to_light" : "to_dark"));
    flip.title = flip.getAttribute("aria-label");
  }

  system.onchange = () => flip.isConnected && name();
  name();
  return flip;
}

function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // a browser that keeps nothing for us forgets it with the page
  }
}

function remembered(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}
