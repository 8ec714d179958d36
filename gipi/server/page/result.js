// The panel with the answer: empty, at work, answered, or in trouble; one at a time, and always said aloud.

import { explain } from "./api.js";
import { viewOf } from "./answers.js";
import { picture } from "./answer_pictures.js";
import { tableOf } from "./answers_table.js";
import { announce, button, foreign, make } from "./dom.js";
import { count } from "./format.js";
import { say } from "./words.js";

const BUSY = 503; // of which the server says no more than we do

/** { element, working(), add(answer, place), show(request, answers), trouble(trouble, again), stale() } */
export function resultPanel(model, schema) {
  const body = make("div", { class: "body" }, make("p", { class: "soft waiting", text: say("waiting") }));
  const note = make("p", { class: "remark", text: say("stale"), hidden: true });
  const element = make("section", { class: "panel result", "aria-labelledby": "answer-title" },
    make("h2", { id: "answer-title", text: say("answer") }), note, body);
  let grid = null;

  function put(...children) {
    note.hidden = true;
    element.removeAttribute("aria-busy");
    body.replaceChildren(...children);
  }

  /** An answer that stands there already stays, pale, until the next one comes: no flicker between two quick ones. */
  function working() {
    note.hidden = true;
    element.setAttribute("aria-busy", "true");
    grid = null;
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
      put(view.element, ...(isExplained(request, answers[0]) ? [decided(request)] : []));
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

  function isExplained(request, answer) {
    return schema.explains && request.picture && typeof answer.error !== "string";
  }

  /** What decided, when somebody asks: it costs many times what the answer did. */
  function decided(request) {
    const place = make("div", { class: "decided" });
    const ask = button(say("what_decided"), async () => {
      ask.disabled = true;
      place.replaceChildren(make("p", { class: "soft", text: say("working") }));
      try {
        const found = await explain(model, request);
        place.replaceChildren(...found.map(({ of, overlay, error }) => {
          if (!overlay) return make("p", { class: "trouble" }, foreign(error ?? ""));
          const title = say("decided_for", { of });
          return make("figure", {}, picture(overlay, title), make("figcaption", {}, foreign(title)));
        }));
        place.scrollIntoView({ block: "nearest" }); // the panel scrolls in itself
        announce(say("decided_ready"));
      } catch (error) {
        place.replaceChildren(make("p", { class: "trouble", role: "alert", text: error.sentence ?? String(error) }));
        ask.disabled = false;
      }
    }, { class: "quiet" });
    return make("div", { class: "part" }, ask, place);
  }

  return { element, working, add, show, trouble, stopped, stale };
}
