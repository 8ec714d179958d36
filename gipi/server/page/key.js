// Asking for the key of a server that wants one. It goes into api.js's variable, never into an address or a store.

import { announce, make, markInvalid, newId } from "./dom.js";
import { hasKey, useKey } from "./api.js";
import { say } from "./words.js";

/** A panel with a field; `tryAgain` is called with the key in use. */
export function keyPanel(tryAgain) {
  const [id, hintId, wrongId] = [newId(), newId(), newId()];
  const field = make(
    "input",
    { id, type: "password", autocomplete: "off", spellcheck: "false", "aria-describedby": `${hintId} ${wrongId}` },
  );
  const wrong = make("p", { class: "wrong", id: wrongId, role: "alert", hidden: true });

  function complain(sentence) {
    wrong.textContent = sentence;
    wrong.hidden = false;
    markInvalid(field, true);
    field.focus();
  }

  function submit(event) {
    event.preventDefault();
    if (!field.value.trim()) return complain(say("key_empty"));
    useKey(field.value.trim());
    return tryAgain();
  }

  const form = make("form", { class: "panel key", novalidate: true, on: { submit } },
    make("h1", { text: say("key_title") }), make("p", { class: "soft", id: hintId, text: say("key_hint") }),
    make("div", { class: "field" }, make("label", { for: id, text: say("key") }), field, wrong),
    make("div", { class: "buttons" }, make("button", { class: "main", text: say("key_use") })));
  queueMicrotask(() => (hasKey() ? complain(say("key_wrong")) : field.focus()));
  announce(say("key_title"));
  return form;
}
