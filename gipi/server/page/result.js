// The panel with the answer: empty, at work, answered, or in trouble; one at a time, and always said aloud.

import { viewOf } from "./answers.js";
import { growing } from "./answer_texts.js";
import { decided, isExplained } from "./decided.js";
import { tableOf } from "./answers_table.js";
import { announce, button, foreign, make } from "./dom.js";
import { count } from "./format.js";
import { say } from "./words.js";

const BUSY = 503; // of which the server says no more than we do

const WRITING = ["write", "chat"]; // whose answers grow

/** { element, isGrowing, working(request), add(answer, place), grow(text), show(request, answers), trouble(trouble, again),
 *   stopped(), stale(), clear() } */
export function resultPanel(model, schema) {
  const body = make("div", { class: "body" }, make("p", { class: "soft waiting", text: say("waiting") }));
  const note = make("p", { class: "remark", text: say("stale"), hidden: true });
  const element = make("section", { class: "panel result", "aria-labelledby": "answer-title" },
    make("h2", { id: "answer-title", text: say("answer") }), note, body);
  let [grid, live] = [null, null];

  function put(...children) {
    note.hidden = true;
    element.removeAttribute("aria-busy");
    body.replaceChildren(...children);
  }

  /** An answer that stands there already stays, pale, until the next one comes: no flicker between two quick ones. */
  function working(request) {
    note.hidden = true;
    element.setAttribute("aria-busy", "true");
    [grid, live] = [null, null];
    if (WRITING.includes(schema.task) && !request.table) {
      live = growing(schema, request);
      body.replaceChildren(live.element);
      return;
    }
    if (!body.querySelector(".answer")) body.replaceChildren(
      make("p", { class: "soft waiting", text: say("working") }),
    );
  }

  /** One of several pictures, as it comes. */
  function add(answer, place) {
    if (schema.task !== "generate") return;
    if (!grid) {
      grid = make("div", { class: "gallery answer" });
      body.replaceChildren(grid);
    }
    grid.append(viewOf(answer, schema, null, place).element);
  }

  /** A piece of a text, as it is written; who reads its beginning is not carried off to its end. */
  function grow(text) {
    const isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
    live?.add(text);
    if (isAtEnd) element.scrollTop = element.scrollHeight;
  }

  function show(request, answers) {
    if (request.table) {
      const { element: table, spoken } = tableOf(answers, schema, request.table);
      put(table);
      announce(spoken);
    } else if (schema.task === "generate") {
      grid ??= make(
        "div",
        { class: "gallery answer" },
        ...answers.map((answer, place) => viewOf(answer, schema, null, place).element),
      );
      put(grid);
      announce(say("pictures_ready", { count: count(answers.length) }));
    } else {
      const view = viewOf(answers[0], schema, request);
      put(view.element, ...(isExplained(schema, request, answers[0]) ? [decided(model, request)] : []));
      if (schema.task === "chat") element.scrollTop = element.scrollHeight;
      announce(view.spoken);
    }
  }

  function trouble(found, again) {
    const details = (found.details ?? []).map(
      ({ row, field, error }) => make(
        "li",
        {},
        foreign(say("row_wrong", { row: count(Number(row) + 1), field: field ?? "", error: error ?? "" })),
      ),
    );
    put(make("div", { class: "trouble", role: "alert" }, make("p", { text: found.sentence }),
      found.said && found.status !== BUSY ? make("p", { class: "own" }, foreign(found.said)) : null,
      details.length ? make("ul", {}, ...details) : null,
      again ? button(say("again"), again, { class: "quiet" }) : null));
  }

  function stopped() {
    put(make("p", { class: "soft waiting", text: say("stopped") }));
    announce(say("stopped"));
  }

  function stale() {
    note.hidden = !body.querySelector(".answer");
  }

  function clear() {
    put(make("p", { class: "soft waiting", text: say("waiting") }));
  }

  return { element, isGrowing: WRITING.includes(schema.task), working, add, grow, show, trouble, stopped, stale, clear };
}
