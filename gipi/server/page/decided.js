// What decided: a picture with its places in colour, or a text with its words.
//
// A person asks for it by a button, since it costs many times what the answer did.

import { explain } from "./api.js";
import { picture } from "./answer_pictures.js";
import { signedBars } from "./charts.js";
import { announce, button, foreign, make } from "./dom.js";
import { say } from "./words.js";

const STEPS = 5; // of a colour, in texts.css
const STRONGEST = 8; // words that are listed

/** Whether it can be asked of this answer. */
export function isExplained(schema, request, answer) {
  return schema.explains && (request.picture || request.isText) && typeof answer.error !== "string";
}

/** The button, and below what comes of it. */
export function decided(model, request) {
  const place = make("div", { class: request.isText ? "decided words" : "decided" });
  const ask = button(say(request.isText ? "which_words" : "what_decided"), async () => {
    ask.disabled = true;
    place.replaceChildren(make("p", { class: "soft", text: say("working") }));
    try {
      const found = await explain(model, request);
      place.replaceChildren(...found.map(viewOf));
      place.scrollIntoView({ block: "nearest" }); // the panel scrolls in itself
      announce(say(request.isText ? "words_ready" : "decided_ready"));
    } catch (error) {
      place.replaceChildren(make("p", { class: "trouble", role: "alert", text: error.sentence ?? String(error) }));
      ask.disabled = false;
    }
  }, { class: "quiet" });
  return make("div", { class: "part" }, ask, place);
}

function viewOf(found) {
  if (typeof found.error === "string") return make("p", { class: "trouble" }, foreign(found.error));
  if (found.words) return coloured(found);
  const title = say("decided_for", { of: found.of });
  return make("figure", {}, picture(found.overlay, title), make("figcaption", {}, foreign(title)));
}

/** The texts with each word in the colour of what it adds, and the strongest words with their numbers. */
function coloured({ of, words, read }) {
  const most = Math.max(...words.map(({ adds }) => Math.abs(adds)), 1e-9);
  const columns = Object.keys(read);
  const texts = columns.map((column) => {
    const own = words.filter((one) => columns.length < 2 || one.column === column);
    return make("p", { class: "prose", dir: "auto" }, ...parts(read[column], own, most));
  });
  const strongest = [...words].sort((one, other) => Math.abs(other.adds) - Math.abs(one.adds)).slice(0, STRONGEST)
    .sort((one, other) => other.adds - one.adds);
  return make("figure", {}, make("figcaption", {}, foreign(say("words_for", { of }))), ...texts,
    make("p", { class: "keys" }, make("mark", { class: "for-4", text: say("speaks_for") }), " ",
      make("mark", { class: "against-4", text: say("speaks_against") })),
    signedBars(strongest.map(({ word, adds }) => ({ label: word, value: adds }))));
}

function parts(text, words, most) {
  const letters = [...text]; // places count characters, not half pairs
  const found = [];
  let at = 0;
  for (const { word, start, adds } of words) {
    const step = Math.round((STEPS * Math.abs(adds)) / most);
    const side = adds > 0 ? "for" : "against";
    found.push(letters.slice(at, start).join(""), step ? make("mark", { class: `${side}-${step}`, text: word }) : word);
    at = start + [...word].length;
  }
  return [...found, letters.slice(at).join("")];
}
