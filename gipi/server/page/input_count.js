// For models that make things up: how many, and the seed that they come of. The same seed makes the same things again.

import { button, make, markInvalid, newId } from "./dom.js";
import { asJson, Unready } from "./unready.js";
import { count } from "./format.js";
import { say } from "./words.js";

const MOST = 64; // at once, on a page that somebody looks at
const FIRST = 12;
const SEEDS = 2 ** 31;

export const word = "how_many";

export function takes(schema) {
  return schema.task === "generate";
}

export function build(schema, room) {
  const most = Math.min(MOST, schema.limits?.rows ?? MOST);
  const [manyId, seedId, wrongId] = [newId(), newId(), newId()];
  const described = { "aria-describedby": wrongId, inputmode: "numeric" };
  const many = make("input", { id: manyId, type: "number", min: 1, max: most, step: 1, value: FIRST, ...described });
  const seed = make("input", { id: seedId, type: "number", min: 0, max: SEEDS - 1, step: 1, value: 0, ...described });
  const wrong = make("p", { id: wrongId, class: "wrong", hidden: true });
  many.value = String(Math.min(FIRST, most));
  for (const control of [many, seed]) control.addEventListener("change", () => room.changed(false));

  const dice = button(say("another_seed"), () => {
    seed.value = String(Math.floor(Math.random() * 1e6));
    room.changed(true);
  }, { class: "quiet" });
  const element = make("div", {},
    make("div", { class: "fields" },
      make(
        "div",
        { class: "field" },
        make(
          "label",
          { for: manyId },
          say("how_many"),
          make("span", { class: "hint", text: say("range", { low: count(1), high: count(most) }) }),
        ),
        many,
      ),
      make(
        "div",
        { class: "field" },
        make("label", { for: seedId }, say("seed")),
        make("div", { class: "beside" }, seed, dice),
      )),
    wrong);

  function request() {
    const bad = [many, seed].find((control) => control.value === "" || !control.checkValidity());
    for (const control of [many, seed]) markInvalid(control, control === bad);
    wrong.hidden = !bad;
    wrong.textContent = bad ? say("whole_number", { low: count(Number(bad.min)), high: count(Number(bad.max)) }) : "";
    if (bad) throw new Unready(wrong.textContent, bad);
    return { ...asJson({ count: Number(many.value), seed: Number(seed.value) }), streams: true };
  }

  const keep = () => ({ count: many.value, seed: seed.value });
  const fill = (kept) => ([many.value, seed.value] = [kept.count, kept.seed]);
  return { element, request, keep, fill, mark: (details) => details };
}
