// For a network of a person's own, whose batches only they know: numbers, as JSON, in the shape of one row.

import { make, markInvalid, newId } from "./dom.js";
import { asJson, Unready } from "./unready.js";
import { say } from "./words.js";

export const word = "numbers";

export function takes(schema) {
  return schema.task === "stream";
}

export function build(schema, room) {
  const [id, wrongId, hintId] = [newId(), newId(), newId()];
  const text = make("textarea", { id, rows: 8, spellcheck: "false", "aria-describedby": `${hintId} ${wrongId}` });
  const wrong = make("p", { id: wrongId, class: "wrong", hidden: true });
  text.value = JSON.stringify(schema.examples?.[0] ?? [0]);
  text.addEventListener("change", () => room.changed(false));
  const element = make("div", { class: "field" },
    make("label", { for: id, text: say("numbers") }), make(
      "p",
      { class: "soft", id: hintId, text: say("numbers_hint") },
    ), text, wrong);

  function complain(sentence) {
    wrong.hidden = !sentence;
    wrong.textContent = sentence;
    markInvalid(text, sentence);
  }

  function request() {
    let row;
    try {
      row = JSON.parse(text.value);
    } catch {
      complain(say("not_json"));
      throw new Unready(say("not_json"), text);
    }
    complain("");
    return asJson({ rows: [row] });
  }

  function mark(details) {
    complain(details.map(({ error }) => String(error)).join(" "));
    return [];
  }

  return {
    element,
    request,
    mark,
    keep: () => text.value,
    fill: (kept) => (text.value = typeof kept === "string" ? kept : JSON.stringify(kept)),
  };
}
