// One answer as a person wants it: what it is in large letters, and below how sure that is.
//
// Every task has a view: (answer, schema, given, place) -> { element, spoken }. `spoken` is the one sentence that a
// screen reader says when it comes; all else is there to be read at leisure. `given` is the request that was answered.

import { bars, columns, interval, signedBars } from "./charts.js";
import { button, foreign, make } from "./dom.js";
import { count, number, percent } from "./format.js";
import * as pictures from "./answer_pictures.js";
import * as texts from "./answer_texts.js";
import { say } from "./words.js";

const TOP = 10; // bars; the rest is folded

const VIEWS = {
  classify: (answer, schema) => (answer.labels ? labelled(answer, schema) : classed(answer, schema)),
  regress: numbers,
  cluster,
  act,
  embed,
  stream,
  compress: (answer, schema, given) => pictures.compressed(answer, given, vector),
  denoise: (answer, schema, given) => pictures.changed(answer, given, say("cleaned")),
  upscale: (answer, schema, given) => pictures.changed(
    answer,
    given,
    say("enlarged", { factor: count(answer.factor) }),
  ),
  segment: pictures.segmented,
  generate: pictures.made,
  write: (answer, schema, given) => texts.written(answer, given),
  chat: (answer, schema, given) => texts.talk(answer, given),
  translate: (answer) => texts.translated(answer),
  fill: (answer) => texts.filled(answer),
  tag: (answer, schema, given) => texts.tagged(answer, given),
  relate: (answer) => texts.related(answer),
};

/** The view of an answer, with its warnings; a row that could not be answered says why. */
export function viewOf(answer, schema, given, place = 0) {
  if (typeof answer.error === "string") {
    return { element: make("p", { class: "trouble" }, foreign(answer.error)), spoken: answer.error };
  }
  const view = (VIEWS[schema.task] ?? stream)(answer, schema, given, place);
  const warnings = Array.isArray(answer.warnings) ? answer.warnings : [];
  const said = warnings.length
    ? make("ul", { class: "warnings" }, ...warnings.map((text) => make("li", {}, foreign(text))))
    : null;
  const differ = typeof answer.disagreement === "number" ? disagreement(answer.disagreement) : null;
  return {
    element: make("div", { class: schema.task === "generate" ? null : "answer" }, said, view.element, differ),
    spoken: [view.spoken, ...warnings].join(". "),
  };
}

function disagreement(value) {
  return make("p", { class: "soft", text: say("disagreement", { value: number(value, 2) }) });
}

function headline(title, text, aside = null) {
  return make(
    "div",
    { class: "headline" },
    make("p", { class: "what" }, foreign(title)),
    make("p", { class: "big" }, foreign(text)),
    aside,
  );
}

// --- classes ---------------------------------------------------------------------------------------------------------

function classed(answer, schema) {
  const target = schema.targets[0]?.name ?? "";
  const sure = make("p", { class: "sure", text: say("sure", { percent: percent(answer.probability) }) });
  const label = named(answer.label);
  const element = make("div", {}, headline(target, label, sure), likely(answer.probabilities));
  return { element, spoken: say("spoken_class", { target, label, percent: percent(answer.probability) }) };
}

function labelled(answer, schema) {
  const target = schema.targets[0]?.name ?? "";
  const text = answer.labels.map(named).join(", ") || say("no_label");
  const element = make("div", {}, headline(target, text), likely(answer.probabilities));
  return { element, spoken: `${target}: ${text}` };
}

/** What a person reads for a class: yes and no in their language. */
function named(value) {
  return typeof value === "boolean" ? say(value ? "yes" : "no") : String(value);
}

function likely(probabilities) {
  const items = Object.entries(probabilities)
    .sort(([, one], [, other]) => other - one)
    .map(([label, share]) => ({ label, share, text: percent(share) }));
  return folded(
    items,
    bars,
    (rest) => say(
      "rest_of_classes",
      { count: count(rest.length), percent: percent(rest.reduce((sum, { share }) => sum + share, 0)) },
    ),
  );
}

/** The first bars, and a fold with the others. */
function folded(items, drawn, title) {
  if (items.length <= TOP + 1) return drawn(items);
  const rest = items.slice(TOP);
  const fold = make("details", { class: "fold" }, make("summary", { text: title(rest) }));
  // a thousand bars are drawn when somebody wants to see them
  fold.addEventListener("toggle", () => fold.append(rebased(drawn(rest))), { once: true });
  return make("div", {}, drawn(items.slice(0, TOP)), fold);
}

function rebased(list) {
  list.querySelector(".best")?.classList.remove("best");
  return list;
}

// --- numbers ---------------------------------------------------------------------------------------------------------

function numbers(answer, schema) {
  const isOne = schema.targets.length <= 1;
  const all = isOne
    ? [[schema.targets[0]?.name ?? "", answer]]
    : schema.targets.map(({ name }) => [name, answer[name]]);
  const parts = all.filter(([, one]) => one).map(([name, one]) => oneNumber(name, one, isOne));
  return {
    element: make("div", {}, ...parts.map(({ element }) => element)),
    spoken: parts.map(({ spoken }) => spoken).join(". "),
  };
}

function oneNumber(name, { value, low, high, disagreement: differ }, isOne) {
  const hasInterval = typeof low === "number" && typeof high === "number";
  const aside = hasInterval
    ? make("p", { class: "sure", text: say("interval", { low: number(low), high: number(high) }) })
    : null;
  const element = make(
    "div",
    { class: "part" },
    headline(name, number(value), aside),
    hasInterval ? interval(value, low, high) : null,
    !isOne && typeof differ === "number" ? disagreement(differ) : null,
  );
  const between = hasInterval ? ` (${say("interval", { low: number(low), high: number(high) })})` : "";
  return { element, spoken: `${name}: ${number(value)}${between}` };
}

// --- other tasks -----------------------------------------------------------------------------------------------------

function cluster(answer) {
  const text = say("group", { number: answer.cluster });
  return { element: headline(say("belongs_to"), text), spoken: `${say("belongs_to")}: ${text}` };
}

function act(answer) {
  const items = Object.entries(answer.worth).map(([label, value]) => ({ label, value })).sort(
    (one, other) => other.value - one.value,
  );
  const worth = make("p", { class: "soft", text: say("worth") });
  const element = make(
    "div",
    {},
    headline(say("does"), named(answer.action)),
    worth,
    folded(items, signedBars, (rest) => say("rest", { count: count(rest.length) })),
  );
  return { element, spoken: `${say("does")}: ${named(answer.action)}` };
}

function embed(answer) {
  return {
    element: make(
      "div",
      {},
      headline(say("vector"), say("of_numbers", { count: count(answer.vector.length) })),
      vector(answer.vector),
    ),
    spoken: say("vector_read", { count: answer.vector.length }),
  };
}

/** A vector drawn, with its numbers to copy. */
function vector(values) {
  const copy = button(say("copy_numbers"), async () => {
    await navigator.clipboard.writeText(JSON.stringify(values));
    copy.textContent = say("copied");
  }, { class: "quiet" });
  return make("div", {}, columns(values), navigator.clipboard ? copy : null);
}

function stream(answer) {
  const { output = answer } = answer;
  const isVector = Array.isArray(output) && output.length > 0 && output.every((one) => typeof one === "number");
  const body = isVector ? vector(output) : null;
  const text = typeof output === "number" ? number(output) : JSON.stringify(output, null, 1);
  return {
    element: make(
      "div",
      {},
      headline(say("output"), typeof output === "number" ? text : ""),
      body,
      typeof output === "number" ? null : make("pre", { class: "raw", tabindex: "0", text }),
    ),
    spoken: say("answered"),
  };
}
