// Answers that are texts: what was written, a talk, a translation, words for a gap, names in a text, words alike.

import { bars, signedBars } from "./charts.js";
import { button, foreign, make } from "./dom.js";
import { count, number, percent } from "./format.js";
import { say } from "./words.js";

const HUES = 6; // colours for kinds of names, in texts.css

/** A text with a button that copies it. */
function copied(text) {
  if (!navigator.clipboard) return null;
  const copy = button(say("copy"), async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = say("copied");
  }, { class: "quiet" });
  return make("div", { class: "buttons" }, copy);
}

/** What a model writes, behind the text that it goes on from. */
export function written(answer, given) {
  const text = make("span", { text: answer.text });
  const element = make("div", {}, make("p", { class: "prose", dir: "auto" },
    make("span", { class: "soft", text: given?.prompt ?? "" }), text), copied(`${given?.prompt ?? ""}${answer.text}`));
  return { element, spoken: answer.text || say("nothing_written") };
}

/** A talk up to its last answer. */
export function talk(answer, given) {
  const turns = [...(given?.turns ?? []), [given?.question ?? "", answer.text]];
  const lines = turns.flatMap(([question, said]) => [
    make("li", { class: "you" }, make("span", { class: "unseen", text: `${say("you")}: ` }), foreign(question)),
    make("li", { class: "it" }, make("span", { class: "unseen", text: `${say("model")}: ` }), foreign(said || "…")),
  ]);
  return { element: make("ol", { class: "talk" }, ...lines), spoken: answer.text || say("nothing_written") };
}

/** While it is being written: { element, add(text) }. */
export function growing(schema, request) {
  const view = (schema.task === "chat" ? talk : written)({ text: "" }, request);
  const place = view.element.querySelector(schema.task === "chat" ? ".it:last-child bdi" : ".prose span:last-child");
  place.textContent = "";
  place.classList.add("growing");
  view.element.querySelector(".buttons")?.remove();
  return { element: make("div", { class: "answer" }, view.element), add: (text) => place.append(text) };
}

export function translated(answer) {
  const score = typeof answer.score === "number"
    ? make("p", { class: "soft", text: say("score", { value: number(answer.score) }) })
    : null;
  const element = make("div", {}, make("p", { class: "prose", dir: "auto", text: answer.text }), score, copied(answer.text));
  return { element, spoken: answer.text };
}

/** The words that may stand in a gap, the likeliest first. */
export function filled(answer) {
  const lists = answer.masks ?? [answer.words];
  const drawn = lists.map((words, place) => make("div", { class: lists.length > 1 ? "part" : null },
    lists.length > 1 ? make("h3", { text: say("gap", { number: count(place + 1) }) }) : null,
    bars(words.map(({ word, probability }) => ({ label: word, share: probability, text: percent(probability) })))));
  return {
    element: make("div", {}, make("p", { class: "prose", dir: "auto", text: answer.text }), ...drawn),
    spoken: answer.text,
  };
}

/** A text with what was found in it. */
export function tagged(answer, given) {
  const text = answer.text ?? given?.json?.rows?.[0]?.text ?? "";
  const letters = [...text]; // places count characters, not half pairs
  const labels = [...new Set(answer.spans.map(({ label }) => label))].sort();
  const hue = (label) => `tag hue-${labels.indexOf(label) % HUES}`;
  const parts = [];
  let at = 0;
  for (const { start, stop, label } of answer.spans) {
    parts.push(letters.slice(at, start).join(""), make("mark", { class: hue(label) },
      foreign(letters.slice(start, stop).join("")), make("span", { class: "kind", text: label })));
    at = stop;
  }
  const items = answer.spans.map(({ text: name, label, probability }) => make("li", {},
    make("span", { class: `swatch ${hue(label)}` }), foreign(name),
    make("span", { class: "figure", text: `${label} ${percent(probability)}` })));
  const element = make("div", {},
    make("p", { class: "prose", dir: "auto" }, ...parts, letters.slice(at).join("")),
    items.length ? make("ul", { class: "legend" }, ...items) : make("p", { class: "soft", text: say("no_names") }));
  const spoken = answer.spans.map(({ text: name, label }) => `${name}: ${label}`).join(", ");
  return { element, spoken: spoken || say("no_names") };
}

/** Words near a word, by their cosine. */
export function related(answer) {
  const near = answer.near ?? [];
  const drawn = signedBars(near.map(({ word, cosine }) => ({ label: word, value: cosine })));
  const title = make("p", { class: "what", text: say("near_words") });
  return { element: make("div", {}, title, drawn), spoken: near.map(({ word }) => word).join(", ") };
}
