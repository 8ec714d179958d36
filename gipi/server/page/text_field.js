// A box for a text: its name, how long it is and may be, and what is wrong with it.

import { foreign, make, markInvalid, newId } from "./dom.js";
import { count } from "./format.js";
import { say } from "./words.js";

/** { element, control, read(), write(text), settle(), complain(sentence) }; settle gives the sentence on what is wrong,
 * `changed` is called when a person has left it changed. */
export function textField(name, { rows = 6, most = Infinity, tokens = 0, placeholder = "", changed }) {
  const [id, hintId, wrongId] = [newId(), newId(), newId()];
  const described = { "aria-describedby": `${hintId} ${wrongId}` };
  const control = make("textarea", { id, rows, placeholder, class: "text", dir: "auto", ...described });
  let known = "";
  const size = make("span", { class: "size" });
  const reads = tokens > 1 ? ` · ${say("reads_tokens", { count: count(tokens) })}` : "";
  const wrong = make("p", { id: wrongId, class: "wrong", hidden: true });
  const element = make("div", { class: "field" },
    make("label", { for: id }, foreign(name, { class: "name" })), control,
    make("p", { id: hintId, class: "hint" }, size, reads), wrong);

  function settle() {
    const letters = [...control.value].length; // as the server counts them
    size.textContent = say("characters", { count: count(letters) });
    return complain(letters > most ? say("text_long", { most: count(most) }) : "");
  }

  function complain(sentence) {
    wrong.textContent = sentence;
    wrong.hidden = !sentence;
    markInvalid(control, sentence);
    return sentence;
  }

  control.addEventListener("input", settle);
  control.addEventListener("change", () => { // when it is left; what was asked by the keyboard is no change then
    if (control.value === known) return;
    known = control.value;
    changed?.();
  });
  settle();
  const read = () => (known = control.value);
  const write = (text) => {
    control.value = known = text ?? "";
    settle();
  };
  return { name, element, control, read, write, settle, complain };
}
