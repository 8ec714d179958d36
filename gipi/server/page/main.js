// The page of `gipi serve`: a person gives input to a model and gets an answer.
//
// All of it is made from what the server says of the model (GET /schema). Where to look:
//   inputs.js    the ways to give input, one module each          answers.js   what an answer looks like, by task
//   result.js    the panel that the answer stands in              api.js       the server's routes and its errors
//   words.js     all sentences, English and Korean                dom.js       making elements, without any markup
// This file holds what is going on: which model, which input, which answer.

import * as api from "./api.js";
import { cardSection } from "./card.js";
import { codeSection } from "./code.js";
import { announce, button, make, newId } from "./dom.js";
import { count } from "./format.js";
import { buildHeader, firstLanguage } from "./header.js";
import { inputsFor } from "./inputs.js";
import { keyPanel } from "./key.js";
import { resultPanel } from "./result.js";
import { Unready } from "./unready.js";
import { say, speak } from "./words.js";

const QUICK = 200; // milliseconds without a change before a changed row is asked again

const main = document.getElementById("main");
const state = { models: [], model: "", schema: null, card: null, kind: 0, kept: [], last: null, gone: new AbortController() };

speak(firstLanguage());
start();

// --- which model -----------------------------------------------------------------------------------------------------

async function start() {
  await orTrouble(async () => {
    main.replaceChildren(make("p", { class: "soft waiting", text: say("loading") }));
    state.models = await api.models();
    const wanted = state.models.find(({ name }) => location.hash === `#${encodeURIComponent(name)}`);
    await choose((wanted ?? state.models[0]).name);
  }, start);
}

async function choose(name) {
  await orTrouble(async () => {
    const [schema, card] = await Promise.all([api.schema(name), api.card(name)]);
    Object.assign(state, { model: name, schema, card, kind: 0, kept: [], last: null });
    if (state.models.length > 1) history.replaceState(null, "", `#${encodeURIComponent(name)}`);
    build();
    announce(`${name}. ${about(schema)}`);
  }, () => choose(name));
}

/** What hinders the whole page stands in place of it. */
async function orTrouble(work, again) {
  buildHeader(state, { choose, retold });
  try {
    await work();
  } catch (error) {
    if (error instanceof api.Trouble && error.status === 401) return main.replaceChildren(keyPanel(start));
    if (!(error instanceof api.Trouble)) throw error;
    return main.replaceChildren(make("div", { class: "panel" }, make("div", { class: "trouble", role: "alert" },
      make("p", { text: error.sentence }), error.said ? make("p", { text: error.said }) : null, button(say("again"), again, { class: "quiet" }))));
  }
  return null;
}

/** Another language: all is built anew, with what the person gave and what was answered. */
function retold() {
  buildHeader(state, { choose, retold });
  if (state.schema) build();
  else start();
}

// --- the page of a model ---------------------------------------------------------------------------------------------

function build() {
  const { model, schema, card } = state;
  state.gone.abort(); // what was under way belonged to the page before
  state.gone = new AbortController();
  document.title = `${model} · gipi`;
  document.getElementById("footer").textContent = say("footer");
  buildHeader(state, { choose, retold });

  const result = resultPanel(model, schema);
  const code = codeSection(state.models[0].name === model ? null : model, api.hasKey());
  const form = inputForm(schema, result, code);
  main.replaceChildren(
    make("div", { class: "intro" }, make("h1", { text: model }), make("p", { class: "lead", text: about(schema) })),
    make("div", { class: "two" }, form, result.element),
    make("div", { class: "two below" }, cardSection(card), code.element));
  if (state.last) result.show(state.last.request, state.last.answers);
}

/** What the model does, in a sentence. */
function about(schema) {
  const isPicture = schema.inputs[0]?.kind === "picture";
  const given = isPicture ? say("given_picture") : say("given_row", { count: count(schema.inputs.length) });
  const target = schema.targets[0];
  const task = target?.kind === "labels" ? "labels" : schema.task;
  const names = schema.targets.map(({ name }) => name).join(", ");
  return say(`about_${task}`, { given, names, count: count(target?.values?.length ?? 0) }, schema.task);
}

function inputForm(schema, result, code) {
  const kinds = inputsFor(schema);
  const { signal } = state.gone;
  const room = { gone: signal, changed };
  const inputs = kinds.map((kind) => kind.build(schema, room));
  const panes = inputs.map((input, place) => make("div", { class: "pane", hidden: place !== state.kind }, input.element));
  const send = make("button", { class: "main", text: say(schema.task === "generate" ? "ask_generate" : "ask") });
  const stop = button(say("stop"), () => running?.abort(), { class: "quiet", hidden: true });
  let [running, timer] = [null, 0];

  const submit = (event) => {
    event.preventDefault();
    ask(true);
  };
  const form = make("form", { class: "panel input", novalidate: true, "aria-labelledby": "input-title", on: { submit } },
    make("div", { class: "title" }, make("h2", { id: "input-title", text: say("input") }), kinds.length > 1 ? tabs() : null),
    ...panes, make("div", { class: "send" }, send, stop));
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
    result.working();
    stop.hidden = false;
    try {
      const answers = await api.predict(state.model, request, { signal: mine.signal, each: (answer, place) => mine === running && result.add(answer, place) });
      if (mine !== running) return;
      state.last = { request, answers, kind: state.kind };
      result.show(request, answers);
      if (isAsked) reveal(result.element);
    } catch (error) {
      if (mine === running) failed(error, input);
    } finally {
      if (mine === running) {
        stop.hidden = true;
        running = null;
      }
    }
  }

  function failed(error, input) {
    if (signal.aborted) return;
    if (error.name === "AbortError") return void result.stopped();
    if (!(error instanceof api.Trouble)) throw error;
    if (error.status === 401) return void main.replaceChildren(keyPanel(start));
    const left = input.mark(error.details);
    const isSaidThere = error.details.length > 0 && left.length === 0;
    result.trouble({ status: error.status, sentence: error.sentence, said: isSaidThere ? "" : error.said, details: left }, error.status === 422 ? null : () => ask(true));
    reveal(result.element);
  }
}

/** On a phone the answer stands below the fold. */
function reveal(element) {
  if (element.getBoundingClientRect().top < innerHeight - 160) return;
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ block: "start", behavior: isCalm ? "auto" : "smooth" });
}
