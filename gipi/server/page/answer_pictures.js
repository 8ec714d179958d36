// Answers that are pictures: before and after, a mask over what was shown, a code, things made up.

import { blobOf, button, download, foreign, make, newId } from "./dom.js";
import { percent } from "./format.js";
import { say } from "./words.js";

const SMALL = 128; // pixels; smaller pictures are shown as the squares that they are made of

/** A picture that shows its pixels if it has few of them. */
export function picture(source, alt) {
  const image = make("img", { src: source, alt });
  image.addEventListener("load", () => image.classList.toggle("small", image.naturalWidth < SMALL));
  return image;
}

/** The address of what was sent, for as long as the answer stands on the page. */
function sent(given) {
  return given?.picture ? URL.createObjectURL(given.picture) : null;
}

function saving(source, name) {
  return button(say("save_picture"), () => download(name, blobOf(source)), { class: "quiet" });
}

// --- before and after ------------------------------------------------------------------------------------------------

/** A picture made of another: both in one place, with a slider between them. */
export function changed(answer, given, title) {
  const before = sent(given);
  const element = make("div", {}, make("p", { class: "what", text: title }),
    before ? compared(before, answer.picture) : framed(answer.picture, say("after")),
    make("div", { class: "buttons" }, saving(answer.picture, "answer.png")));
  return { element, spoken: say("picture_ready") };
}

function framed(source, alt) {
  return make("div", { class: "stack" }, picture(source, alt));
}

function compared(before, after) {
  const id = newId();
  const [old, made] = [picture(before, say("before")), picture(after, say("after"))];
  made.classList.add("over");
  const slider = make("input", { id, type: "range", min: 0, max: 100, value: 50 });
  const cut = make("span", { class: "cut", "aria-hidden": "true" });
  const show = () => {
    made.style.clipPath = `inset(0 0 0 ${slider.value}%)`; // set by the object model, which the policy allows
    cut.style.left = `${slider.value}%`;
  };
  slider.addEventListener("input", show);
  show();
  const label = make(
    "label",
    { class: "ends", for: id },
    make("span", { text: say("before") }),
    make("span", { text: say("after") }),
  );
  return make("div", {}, make("div", { class: "stack" }, old, made, cut), label, slider);
}

// --- codes -----------------------------------------------------------------------------------------------------------

export function compressed(answer, given, vector) {
  const before = sent(given);
  const side = (source, text) => make("figure", {}, picture(source, text), make("figcaption", { text }));
  const element = make("div", {},
    make("p", { class: "what", text: say("compressed") }),
    make("div", { class: "pair" }, before ? side(before, say("before")) : null, side(answer.picture, say("after"))),
    make("p", { class: "soft", text: say("code_of", { count: answer.code.length }) }), vector(answer.code),
    make("div", { class: "buttons" }, saving(answer.picture, "answer.png")));
  return { element, spoken: say("picture_ready") };
}

// --- masks -----------------------------------------------------------------------------------------------------------

/** What is where: the overlay, the mask alone or the picture, and the share of each class with its colour. */
export function segmented(answer, schema, given) {
  const views = [
    ["overlay", answer.overlay],
    ["mask", answer.mask_picture],
    ["original", sent(given)],
  ].filter(([, source]) => source);
  const shown = picture(views[0][1], say("overlay"));
  const group = newId();
  const choices = views.map(([word, source], place) => {
    const control = make("input", { type: "radio", name: group, checked: place === 0 });
    control.addEventListener("change", () => {
      shown.src = source;
      shown.alt = say(word);
    });
    return make("label", { class: "option" }, control, say(word));
  });
  // in the order of their numbers; an object's keys may not be
  const known = (schema.targets[0]?.values ?? []).map(String);
  const names = known.length && known.every((name) => name in answer.share) ? known : Object.keys(answer.share);
  const legend = make("ul", { class: "legend" });
  const fill = (colours) => legend.replaceChildren(...legendOf(names, answer.share, colours));
  fill(new Map());
  coloursOf(answer).then(fill, () => {}); // without colours the shares still stand there
  const element = make("div", {}, make("div", { class: "stack" }, shown),
    make(
      "fieldset",
      { class: "bare" },
      make("legend", { class: "unseen", text: say("shown_as") }),
      make("div", { class: "options" }, ...choices),
    ),
    legend, make("div", { class: "buttons" }, saving(answer.mask, "mask.png")));
  const best = Object.entries(answer.share).sort(([, one], [, other]) => other - one)[0];
  return { element, spoken: best ? say("mostly", { name: best[0], percent: percent(best[1]) }) : say("picture_ready") };
}

function legendOf(names, share, colours) {
  const found = names.map((name, place) => ({ name, place, part: share[name] ?? 0 })).filter(({ part }) => part > 0);
  return found.sort((one, other) => other.part - one.part).map(({ name, place, part }) => {
    const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
    if (colours.has(place)) swatch.style.background = `rgb(${colours.get(place).join(" ")})`;
    return make(
      "li",
      {},
      swatch,
      foreign(name, { class: "label" }),
      make("span", { class: "figure", text: percent(part) }),
    );
  });
}

/** The colour of each class number: where the mask has the number, its coloured picture has the colour. */
async function coloursOf(answer) {
  const [numbers, shown] = await Promise.all([pixels(answer.mask), pixels(answer.mask_picture)]);
  const found = new Map();
  for (let place = 0; place < numbers.length; place += 4) {
    if (!found.has(numbers[place])) found.set(numbers[place], [...shown.slice(place, place + 3)]);
  }
  return found;
}

async function pixels(source) {
  const image = make("img", { src: source });
  await image.decode();
  const canvas = make("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  const brush = canvas.getContext("2d");
  brush.drawImage(image, 0, 0);
  return brush.getImageData(0, 0, canvas.width, canvas.height).data;
}

// --- made up ---------------------------------------------------------------------------------------------------------

/** One of several pictures that a model made up; see the grid in result.js. */
export function made(answer, schema, given, place = 0) {
  const name = say("made_number", { number: place + 1 });
  const save = button(
    picture(answer.picture, name),
    () => download(`made-${place + 1}.png`, blobOf(answer.picture)),
    { class: "thumb large", title: say("save_picture") },
  );
  return { element: save, spoken: "" };
}
