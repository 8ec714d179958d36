// How a model writes: how much, how daring, and the seed that the chances come of.

import { button, make, markInvalid, newId } from "./dom.js";
import { count } from "./format.js";
import { Unready } from "./unready.js";
import { say } from "./words.js";

const SEEDS = 2 ** 31;
const MOST_TOKENS = 4096;
const OPTIONS = [
  { name: "tokens", min: 1, max: MOST_TOKENS, step: 1, value: 200 },
  { name: "temperature", min: 0, max: 5, step: "any", value: 0.8 },
  { name: "top_k", min: 0, max: 100_000, step: 1, value: 0 },
  { name: "top_p", min: 0.01, max: 1, step: "any", value: 1 },
  { name: "seed", min: 0, max: SEEDS - 1, step: 1, value: 0 },
];

/** { element, read(), keep(), fill(kept), mark(details) }; `changed(isWhole)` is called when one is another. */
export function writingOptions(schema, changed, isOpen) {
  const most = Math.min(MOST_TOKENS, schema.limits?.tokens ?? MOST_TOKENS);
  const fields = OPTIONS.map((option) => fieldOf({ ...option, max: option.name === "tokens" ? most : option.max }));
  const seed = fields.at(-1);
  const dice = button(say("another_seed"), () => {
    seed.control.value = String(Math.floor(Math.random() * 1e6));
    changed(true);
  }, { class: "quiet" });
  seed.row.append(dice);
  const element = make("details", { class: "fold", open: isOpen }, make("summary", { text: say("how_it_writes") }),
    make("div", { class: "fields" }, ...fields.map((field) => field.element)));

  function fieldOf({ name, min, max, step, value }) {
    const [id, hintId, wrongId] = [newId(), newId(), newId()];
    const control = make("input", {
      id, type: "number", min, max, step, value: Math.min(value, max),
      inputmode: step === 1 ? "numeric" : "decimal", "aria-describedby": `${hintId} ${wrongId}`,
    });
    control.addEventListener("change", () => changed(false));
    const hint = make("p", { id: hintId, class: "hint", text: say(`hint_${name}`) });
    const wrong = make("p", { id: wrongId, class: "wrong", hidden: true });
    const row = make("div", { class: "beside" }, control);
    const label = make("label", { for: id, text: say(name) });
    return { name, control, wrong, row, element: make("div", { class: "field" }, label, row, hint, wrong) };
  }

  function complain(field, sentence) {
    field.wrong.textContent = sentence;
    field.wrong.hidden = !sentence;
    markInvalid(field.control, sentence);
  }

  /** What a row says of it. */
  function read() {
    for (const field of fields) complain(field, "");
    const bad = fields.find(({ control }) => control.value === "" || !control.checkValidity());
    if (bad) {
      const range = { low: count(Number(bad.control.min)), high: count(Number(bad.control.max)) };
      const sentence = bad.control.step === "1" ? say("whole_number", range) : say("number_between", {
        low: bad.control.min, high: bad.control.max,
      });
      complain(bad, sentence);
      element.open = true;
      throw new Unready(sentence, bad.control);
    }
    return Object.fromEntries(fields.map(({ name, control }) => [name, Number(control.value)]));
  }

  function mark(details) {
    return details.filter(({ field: name, error }) => {
      const field = fields.find((one) => one.name === name);
      if (!field) return true;
      complain(field, String(error));
      element.open = true;
      return false;
    });
  }

  const keep = () => fields.map(({ control }) => control.value);
  const fill = (kept) => fields.forEach(({ control }, place) => (control.value = kept[place]));
  return { element, read, keep, fill, mark };
}
