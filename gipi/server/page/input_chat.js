// A talk: what was said before goes along with each question, as the server remembers nobody.
//
// Enter sends, Shift+Enter begins a new line. The talk itself stands in the panel with the answer.

import { announce, button, make } from "./dom.js";
import { asJson, Unready } from "./unready.js";
import { textField } from "./text_field.js";
import { writingOptions } from "./writing_options.js";
import { say } from "./words.js";

const MOST_TURNS = 50; // a model forgets sooner

export const word = "your_words";
export const emptyRequest = asJson({ rows: [] });

export function takes(schema) {
  return schema.task === "chat";
}

export function build(schema, room) {
  const [{ name, characters, tokens }] = schema.inputs;
  const changed = () => room.changed(false);
  const text = textField(say("your_words"), { rows: 3, most: characters, tokens, placeholder: say("type_chat"), changed });
  const options = writingOptions(schema, () => room.changed(false), false);
  let turns = [];
  const anew = button(say("new_talk"), () => {
    turns = [];
    anew.hidden = true;
    room.cleared();
    announce(say("new_talk"));
    text.control.focus();
  }, { class: "quiet", hidden: true });
  const element = make("div", { class: "texts" }, text.element, make("div", { class: "buttons" }, anew), options.element);
  text.control.addEventListener("keydown", (event) => {
    // of a letter that is still being put together (Hangul) Enter only ends it
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    text.control.form.requestSubmit();
  });

  function request() {
    const wrong = text.settle();
    if (wrong) throw new Unready(wrong, text.control);
    const question = text.read().trim();
    if (!question) {
      text.complain(say("text_missing"));
      throw new Unready(say("text_missing"), text.control);
    }
    const before = turns.slice(-MOST_TURNS);
    const row = { [name]: question, ...(before.length ? { before } : {}), ...options.read() };
    return { ...asJson({ rows: [row] }), streams: true, turns, question };
  }

  /** What was answered, all of it or up to where it was stopped, belongs to the talk. */
  function answered({ question }, [answer]) {
    if (typeof answer?.text !== "string") return;
    turns = [...turns, [question, answer.text]];
    anew.hidden = false;
    if (text.read().trim() === question) text.write("");
    text.control.focus();
  }

  function mark(details) {
    return options.mark(details).filter(({ field, error }) => field !== name || void text.complain(String(error)));
  }

  const keep = () => ({ text: text.read(), turns, options: options.keep() });
  const fill = (kept) => {
    text.write(kept.text);
    options.fill(kept.options);
    turns = kept.turns;
    anew.hidden = !turns.length;
  };
  return { element, request, mark, keep, fill, answered };
}
