// The page of `gipi serve`: a person gives input to a model and gets an answer.
//
// All of it is made from what the server says of the model (GET /schema). Where to look:
//   form.js      the panel with the inputs, which asks            result.js    the panel with the answer
//   inputs.js    the ways to give input, one module each          answers.js   what an answer looks like, by task
//   api.js       the server's routes and its errors               words.js     all sentences, English and Korean
// This file holds what is going on: which model, and what was given and answered last.

import * as api from "./api.js";
import { cardSection } from "./card.js";
import { codeSection } from "./code.js";
import { announce, button, make } from "./dom.js";
import { count } from "./format.js";
import { buildHeader, firstLanguage } from "./header.js";
import { inputForm } from "./form.js";
import { keyPanel } from "./key.js";
import { resultPanel } from "./result.js";
import { say, speak } from "./words.js";

const main = document.getElementById("main");
const state = {
  models: [],
  model: "",
  schema: null,
  card: null,
  kind: 0,
  kept: [],
  last: null,
  gone: new AbortController(),
};

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
      make("p", { text: error.sentence }), error.said
        ? make("p", { text: error.said })
        : null, button(say("again"), again, { class: "quiet" }))));
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

  const known = { task: schema.task, system: schema.system, runtime: schema.runtime };
  const result = resultPanel(model, schema);
  const code = codeSection(state.models[0].name === model ? null : model, api.hasKey());
  const form = inputForm(state, result, code, () => main.replaceChildren(keyPanel(start)));
  main.replaceChildren(
    make("div", { class: "intro" }, make("h1", { text: model }), make("p", { class: "lead", text: about(schema) })),
    make("div", { class: "two" }, form, result.element),
    make("div", { class: "two below" }, cardSection({ ...known, ...card }), code.element));
  if (state.last) result.show(state.last.request, state.last.answers);
}

/** What the model does, in a sentence. */
function about(schema) {
  const kind = schema.inputs[0]?.kind;
  const texts = schema.inputs.length > 1 ? say("given_pair") : say("given_text");
  const known = { picture: say("given_picture"), text: texts };
  const given = known[kind] ?? say("given_row", { count: count(schema.inputs.length) });
  const target = schema.targets[0];
  const task = target?.kind === "labels" ? "labels" : schema.task;
  const names = schema.targets.map(({ name }) => name).join(", ");
  return say(`about_${task}`, { given, names, count: count(target?.values?.length ?? 0) }, schema.task);
}
