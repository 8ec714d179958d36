// One row of a table: a field for each column, filled with an example, so that there is an answer before any typing.

import { button, foreign, make } from "./dom.js";
import { fieldFor } from "./field.js";
import { asJson, Unready } from "./unready.js";
import { say } from "./words.js";
import { count } from "./format.js";

const FOLDED = 16; // columns; more would hide the button and the answer from whoever only wants to look

export const word = "one_row";
export const waits = true; // for the button, before the first answer; later a changed field is answered at once

export function takes(schema) {
  return schema.inputs.length > 0 && schema.inputs.every(({ kind }) => kind !== "picture" && kind !== "text");
}

export function build(schema, room) {
  const asked = () => room.changed(fields.every((field) => !field.read().wrong));
  const examples = schema.examples ?? [];
  const fields = schema.inputs.map((input) => fieldFor(input, examples.map((row) => row[input.name]), asked));
  const fold = folded(fields.slice(FOLDED));
  const element = make("div", {}, exampleRow(schema, examples, fill), grid(fields.slice(0, FOLDED)), fold);
  if (examples.length) fill(examples[0]);

  function row() {
    return Object.fromEntries(fields.map((field) => [field.name, field.read().value ?? null]));
  }

  function fill(given) {
    for (const field of fields) field.write(Object.hasOwn(given, field.name) ? given[field.name] : null);
  }

  function show(field) {
    if (fold && fold.contains(field.element)) fold.open = true;
  }

  function request() {
    const wrong = fields.filter((field) => field.mark(field.read().wrong ?? ""));
    if (wrong.length) {
      wrong.forEach(show);
      throw new Unready(say("fields_wrong", { count: count(wrong.length) }), wrong[0].control);
    }
    return { ...asJson({ rows: [row()] }), rows: [row()] };
  }

  function mark(details) {
    const left = details.filter(({ field: name, error }) => {
      const field = fields.find((one) => one.name === name);
      if (!field) return true;
      field.mark(String(error));
      show(field);
      return false;
    });
    fields.find((field) => field.isWrong())?.control.focus();
    return left;
  }

  return { element, request, mark, keep: row, fill };
}

function grid(fields) {
  return make("div", { class: "fields" }, ...fields.map((field) => field.element));
}

function folded(fields) {
  if (!fields.length) return null;
  const title = make("summary", { text: say("more_columns", { count: count(fields.length) }) });
  return make("details", { class: "fold" }, title, grid(fields));
}

/** Examples to click; what they hold is said in their title, the first few columns of it. */
function exampleRow(schema, examples, fill) {
  if (!examples.length) return null;
  const chips = examples.map((row, place) => {
    const all = schema.inputs.slice(0, 6).map(({ name }) => `${name}: ${row[name] ?? "–"}`);
    return button(
      say("example", { number: count(place + 1) }),
      () => fillAndAsk(row),
      { class: "chip", title: all.join("\n") },
    );
  });
  const title = make("span", { class: "soft", text: say("examples") });
  return make("div", { class: "examples", role: "group", "aria-label": say("examples") }, title, ...chips);

  function fillAndAsk(row) {
    fill(row);
    chips[0].closest("form")?.requestSubmit();
  }
}

/** The values of a row in a few words, for a table of answers. */
export function shortly(value) {
  return foreign(value === null || value === undefined || value === "" ? "–" : value);
}
