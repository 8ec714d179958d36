// One text, or a pair of texts.

import { make } from "./dom.js";
import { asJson, Unready } from "./unready.js";
import { textField } from "./text_field.js";
import { say } from "./words.js";

const WRITING = ["write", "chat"]; // which have inputs of their own
const SHORT = ["relate"];

export const word = "one_text";
export const emptyRequest = asJson({ rows: [] });

export function takes(schema) {
  return schema.inputs.length > 0 && schema.inputs.every(({ kind }) => kind === "text") && !WRITING.includes(schema.task);
}

export function build(schema, room) {
  const rows = SHORT.includes(schema.task) ? 1 : schema.inputs.length > 1 ? 4 : 7;
  const placeholder = say(`type_${schema.task}`, {}, say("type_text"));
  const fields = schema.inputs.map(({ name, characters, tokens }) =>
    textField(name, { rows, most: characters, tokens, placeholder, changed: () => room.changed(false) }));
  const element = make("div", { class: "texts" }, ...fields.map((field) => field.element));

  function request() {
    for (const field of fields) {
      const wrong = field.settle();
      if (wrong) throw new Unready(wrong, field.control);
    }
    const empty = fields.find((field) => !field.read().trim());
    if (empty) {
      empty.complain(say("text_missing"));
      throw new Unready(say("text_missing"), empty.control);
    }
    const row = Object.fromEntries(fields.map((field) => [field.name, field.read()]));
    return { ...asJson({ rows: [row] }), isText: true };
  }

  /** The server's own words beside the text that they are of. */
  function mark(details) {
    return details.filter(({ field: name, error }) => {
      const field = fields.find((one) => one.name === name);
      field?.complain(String(error));
      return !field;
    });
  }

  const keep = () => fields.map((field) => field.read());
  const fill = (kept) => fields.forEach((field, place) => field.write(kept[place]));
  return { element, request, mark, keep, fill };
}
