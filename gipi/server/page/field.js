// One column as something to fill in: a number with its range, a choice, yes or no, a day.
//
// A field reads itself as { value } or { wrong: a sentence }; null is "no value", which every model of gipi takes.
// What training did not see is allowed and remarked on: the answer there is a guess.

import { foreign, make, markInvalid, newId } from "./dom.js";
import { moment, number } from "./format.js";
import { say } from "./words.js";

const FEW = 3; // choices that all stand open
const MANY_WHOLE = 5; // from 15 to 22 a slider goes by one; from 0 to 1 there may be shares
const NO_VALUE = ""; // among a category's values: rows of the training had none

/** The field of a column; `seen` are its values in the examples, `changed` is called when a person has changed it. */
export function fieldFor(input, seen, changed) {
  const makers = { number: numberField, category: choiceField, boolean: booleanField, date: dateField };
  const field = (makers[input.kind] ?? numberField)(input, seen, changed);
  return { name: input.name, ...field, mark: (text) => complain(field, text), isWrong: () => !field.trouble.hidden };
}

/** Say (or take back) what is wrong; tells whether something is. */
function complain(field, text) {
  field.trouble.textContent = text;
  field.trouble.hidden = !text;
  for (const control of field.controls) markInvalid(control, text);
  return Boolean(text);
}

/** What stands around every control: its name, a hint, a remark, and room for what is wrong. */
function framed(input, hint, controls, inner, isGroup = false) {
  const [remark, trouble, aside] = [newId(), newId(), newId()];
  const name = foreign(input.name, { class: "name" });
  const small = make("span", { class: "hint", id: aside, text: hint });
  const said = make("p", { class: "remark", id: remark, hidden: true });
  const wrong = make("p", { class: "wrong", id: trouble, hidden: true });
  const id = newId();
  const element = isGroup
    ? make("fieldset", { class: "field" }, make("legend", {}, name, small), inner, said, wrong)
    : make("div", { class: "field" }, make("label", { for: id }, name, small), inner, said, wrong);
  if (!isGroup) controls[0].id = id;
  for (const control of controls) control.setAttribute("aria-describedby", `${aside} ${remark} ${trouble}`);
  return { element, controls, control: controls[0], remark: said, trouble: wrong };
}

function remarkOn(field, text) {
  field.remark.textContent = text;
  field.remark.hidden = !text;
}

// --- numbers ---------------------------------------------------------------------------------------------------------

function numberField(input, _seen, changed) {
  const { low, high } = input;
  const isRange = typeof low === "number" && typeof high === "number" && low < high;
  const isWhole = isRange && Number.isInteger(low) && Number.isInteger(high) && high - low >= MANY_WHOLE;
  const step = isWhole ? 1 : isRange ? 10 ** Math.floor(Math.log10((high - low) / 20)) : "any";
  const placeholder = typeof input.fill === "number" ? say("empty_is", { value: number(input.fill) }) : say("no_value");
  const control = make("input", { type: "number", step, placeholder, inputmode: "decimal", autocomplete: "off" });
  const slider = isRange
    ? make(
      "input",
      { type: "range", min: low, max: high, step: isWhole ? 1 : "any", tabindex: "-1", "aria-hidden": "true" },
    )
    : null;
  const hint = isRange ? say("range", { low: number(low), high: number(high) }) : "";
  const field = framed(input, hint, [control], make("div", { class: "number" }, control, slider));

  function read() {
    if (control.validity.badInput) return { wrong: say("not_a_number") };
    if (control.value === "") return { value: null };
    return Number.isFinite(control.valueAsNumber) ? { value: control.valueAsNumber } : { wrong: say("not_a_number") };
  }

  function settle() {
    const { value, wrong } = read();
    const isOutside = isRange && value !== null && !wrong && (value < low || value > high);
    remarkOn(field, isOutside ? say("outside", { low: number(low), high: number(high) }) : "");
    complain(field, wrong ?? "");
    if (!slider) return;
    slider.value = value ?? input.fill ?? low;
    slider.classList.toggle("idle", value === null || value === undefined);
  }

  control.addEventListener("input", settle);
  control.addEventListener("change", changed);
  slider?.addEventListener("input", () => {
    control.value = isWhole ? slider.value : Number(Number(slider.value).toPrecision(4));
    settle();
    changed();
  });
  const write = (value) => {
    control.value = typeof value === "number" ? String(Number(value.toPrecision(12))) : value ?? "";
    settle();
  };
  return { ...field, read, write };
}

// --- choices ---------------------------------------------------------------------------------------------------------

function choiceField(input, _seen, changed) {
  const choices = input.values.map((value) => ({ value: value === NO_VALUE ? null : value, text: textOf(value) }));
  return choices.length <= FEW ? open(input, choices, changed) : closed(input, choices, changed);
}

function booleanField(input, seen, changed) {
  const choices = [{ value: true, text: say("yes") }, { value: false, text: say("no") }];
  if (seen.includes(null)) choices.push({ value: null, text: say("no_value") });
  return open(input, choices, changed);
}

function textOf(value) {
  return value === NO_VALUE ? say("no_value") : String(value);
}

/** Which choice a value is; of one that training did not know, "no value" where that can be chosen. */
function placeOf(value, choices) {
  const place = choices.findIndex((choice) => choice.value === value);
  return place >= 0 ? place : choices.findIndex((choice) => choice.value === null);
}

/** A few choices side by side. */
function open(input, choices, changed) {
  const group = newId();
  const controls = choices.map((_, place) => make("input", { type: "radio", name: group, value: String(place) }));
  const labels = choices.map(({ text }, place) => make("label", { class: "option" }, controls[place], foreign(text)));
  const field = framed(input, "", controls, make("div", { class: "options" }, ...labels), true);
  controls.forEach((control) => control.addEventListener("change", () => (complain(field, ""), changed())));
  const read = () => ({ value: choices[controls.findIndex((control) => control.checked)]?.value ?? null });
  const write = (value) => controls.forEach((control, place) => (control.checked = place === placeOf(value, choices)));
  return { ...field, read, write };
}

/** Many choices in a list. */
function closed(input, choices, changed) {
  const control = make("select");
  control.append(...choices.map(({ text }, place) => make("option", { value: String(place), text })));
  if (!choices.some(({ value }) => value === null)) control.prepend(
    make("option", { value: "", text: say("no_value") }),
  );
  const field = framed(input, "", [control], control);
  control.addEventListener("change", () => (complain(field, ""), changed()));
  const read = () => ({ value: control.value === "" ? null : choices[Number(control.value)].value });
  const write = (value) => {
    const place = placeOf(value, choices);
    control.value = place >= 0 ? String(place) : "";
  };
  return { ...field, read, write };
}

// --- days ------------------------------------------------------------------------------------------------------------

function dateField(input, seen, changed) {
  const { low, high } = input;
  const ends = [low, high].filter((value) => typeof value === "string");
  const known = ends.length ? ends : seen.filter((value) => typeof value === "string");
  const isDay = known.length > 0 && known.every((value) => value.length <= 10 || /[T ]00:00(:00(\.0+)?)?$/.test(value));
  const control = make("input", { type: isDay ? "date" : "datetime-local", step: isDay ? null : 1 });
  const hint = low && high ? say("range", { low: moment(low), high: moment(high) }) : "";
  const field = framed(input, hint, [control], control);

  function settle() {
    const { value } = control;
    const isKnown = low && high && value; // as text, days are in the order of time
    const isOutside = isKnown && (value < low.slice(0, value.length) || value > high.slice(0, value.length));
    remarkOn(field, isOutside ? say("outside", { low: moment(low), high: moment(high) }) : "");
    complain(field, "");
  }

  control.addEventListener("change", () => (settle(), changed()));
  const read = () => (control.validity.badInput ? { wrong: say("not_a_date") } : { value: control.value || null });
  const write = (value) => {
    control.value = typeof value === "string" ? value.replace(" ", "T").slice(0, isDay ? 10 : 19) : "";
    settle();
  };
  return { ...field, read, write };
}
