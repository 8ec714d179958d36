// The panel with the inputs: it asks the server, by the button or when the input has changed, and hands on what comes.
//
// Only the last question counts: a newer one ends an older one that is under way, so answers never overtake each other.

import * as api from "./api.js";
import { announce, button, make, newId } from "./dom.js";
import { inputsFor } from "./inputs.js";
import { Unready } from "./unready.js";
import { say } from "./words.js";

const QUICK = 200; // milliseconds without a change before a changed input is asked again

/** The panel.
 *
 * state: which model, which input is shown, what was given in each, the last answer; all but the model are kept there.
 * result, code: the panels to keep up to date; needKey() is called when the server asks for a key again.
 */
export function inputForm(state, result, code, needKey) {
  const { schema } = state;
  const kinds = inputsFor(schema);
  const { signal } = state.gone;
  const room = { gone: signal, changed, cleared };
  const inputs = kinds.map((kind) => kind.build(schema, room));
  const panes = inputs.map(
    (input, place) => make("div", { class: "pane", hidden: place !== state.kind }, input.element),
  );
  const asks = { generate: "ask_generate", write: "ask_write", chat: "ask_chat", translate: "ask_translate" };
  const send = make("button", { class: "main", text: say(asks[schema.task] ?? "ask") });
  const stop = button(say("stop"), () => running?.abort(), { class: "quiet", hidden: true });
  let [running, timer, pieces] = [null, 0, ""];

  const submit = (event) => {
    event.preventDefault();
    ask(true);
  };
  const props = { class: "panel input", novalidate: true, "aria-labelledby": "input-title", on: { submit } };
  const form = make("form", props,
    make(
      "div",
      { class: "title" },
      make("h2", { id: "input-title", text: say("input") }),
      kinds.length > 1 ? tabs() : null,
    ),
    ...panes, make("div", { class: "send" }, send, stop));
  form.addEventListener("keydown", (event) => { // in a box of several lines Enter alone begins another
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  inputs.forEach((input, place) => place in state.kept && input.fill(state.kept[place]));
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    running?.abort();
  });
  shown();
  return form;

  function tabs() {
    const group = newId();
    const choices = kinds.map((kind, place) => {
      const control = make("input", { type: "radio", name: group, checked: place === state.kind });
      control.addEventListener("change", () => {
        state.kind = place;
        panes.forEach((pane, other) => (pane.hidden = other !== place));
        shown();
      });
      return make("label", { class: "option" }, control, say(kind.word));
    });
    return make("div", { class: "options", role: "radiogroup", "aria-label": say("input") }, ...choices);
  }

  /** The code of an input that nobody has touched yet: of one that can be sent as it stands, what it is. */
  function shown() {
    const input = inputs[state.kind];
    const kind = kinds[state.kind];
    if (kind.emptyRequest) code.update(kind.emptyRequest, input.file);
    else told(input);
  }

  function told(input) {
    try {
      code.update(input.request(), input.file);
    } catch (error) {
      if (!(error instanceof Unready)) throw error;
    }
  }

  function changed(isWhole) {
    if (signal.aborted) return;
    state.kept[state.kind] = inputs[state.kind].keep();
    clearTimeout(timer);
    result.stale();
    if (!isWhole) return;
    told(inputs[state.kind]);
    const isFirst = state.last?.kind !== state.kind;
    if (!kinds[state.kind].waits || !isFirst) timer = setTimeout(() => ask(false), QUICK);
  }

  function cleared() {
    running?.abort();
    state.last = null;
    result.clear();
    state.kept[state.kind] = inputs[state.kind].keep();
  }

  /** Send what stands there; isAsked: by a button, so that focus and view may be moved to what needs them. */
  async function ask(isAsked) {
    clearTimeout(timer);
    running?.abort();
    const input = inputs[state.kind];
    let request;
    try {
      request = input.request();
    } catch (error) {
      if (!(error instanceof Unready)) throw error;
      announce(error.message);
      if (isAsked) error.focus?.focus();
      return;
    }
    const mine = (running = new AbortController());
    state.kept[state.kind] = input.keep();
    code.update(request, input.file);
    result.working(request);
    stop.hidden = false;
    pieces = "";
    if (isAsked && result.isGrowing) reveal(result.element);
    try {
      const answers = await api.predict(
        state.model,
        request,
        {
          signal: mine.signal,
          each: (answer, place) => mine === running && result.add(answer, place),
          piece: (text) => mine === running && grown(text),
        },
      );
      if (mine !== running) return;
      shownAll(request, answers, input);
      if (isAsked) reveal(result.element);
    } catch (error) {
      if (mine === running) failed(error, input, request);
    } finally {
      if (mine === running) {
        stop.hidden = true;
        running = null;
      }
    }
  }

  function grown(text) {
    pieces += text;
    result.grow(text);
  }

  function shownAll(request, answers, input) {
    state.last = { request, answers, kind: state.kind };
    result.show(request, answers);
    input.answered?.(request, answers);
    state.kept[state.kind] = input.keep();
  }

  function failed(error, input, request) {
    if (signal.aborted) return;
    if (error.name === "AbortError" && pieces) return void shownAll(request, [{ text: pieces }], input); // it stays
    if (error.name === "AbortError") return void result.stopped();
    if (!(error instanceof api.Trouble)) throw error;
    if (error.status === 401) return void needKey();
    const left = input.mark(error.details);
    const isSaidThere = error.details.length > 0 && left.length === 0;
    result.trouble(
      { status: error.status, sentence: error.sentence, said: isSaidThere ? "" : error.said, details: left },
      error.status === 422 ? null : () => ask(true),
    );
    reveal(result.element);
  }
}

/** On a phone the answer stands below the fold. */
function reveal(element) {
  if (element.getBoundingClientRect().top < innerHeight - 160) return;
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ block: "start", behavior: isCalm ? "auto" : "smooth" });
}
