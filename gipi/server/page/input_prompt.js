// For language models: a text to go on from, and how. The answer comes as it is written.

import { make } from "./dom.js";
import { asJson, Unready } from "./unready.js";
import { textField } from "./text_field.js";
import { writingOptions } from "./writing_options.js";
import { say } from "./words.js";

export const word = "prompt";

export function takes(schema) {
  return schema.task === "write";
}

export function build(schema, room) {
  const [{ name, characters, tokens }] = schema.inputs;
  const changed = () => room.changed(false);
  const text = textField(say("prompt"), { most: characters, tokens, placeholder: say("type_prompt"), changed });
  const options = writingOptions(schema, room.changed, true);
  const element = make("div", { class: "texts" }, text.element, options.element);

  function request() {
    const wrong = text.settle();
    if (wrong) throw new Unready(wrong, text.control);
    return { ...asJson({ rows: [{ [name]: text.read(), ...options.read() }] }), streams: true, prompt: text.read() };
  }

  function mark(details) {
    return options.mark(details).filter(({ field, error }) => field !== name || void text.complain(String(error)));
  }

  const keep = () => ({ text: text.read(), options: options.keep() });
  const fill = (kept) => {
    text.write(kept.text);
    options.fill(kept.options);
  };
  return { element, request, mark, keep, fill };
}
