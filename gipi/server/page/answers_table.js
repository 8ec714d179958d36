// Answers to many rows: a table beside what was asked, the first of them on the page, all of them in a file.

import { button, download, foreign, make } from "./dom.js";
import { write } from "./csv.js";
import { count, number, percent } from "./format.js";
import { say } from "./words.js";

const SHOWN = 200; // rows; a page of ten thousand is slow and nobody reads it

/** { element, spoken } for a table { header, rows } and its answers. */
export function tableOf(answers, schema, table) {
  const columns = columnsOf(schema, answers);
  const failed = answers.filter(({ error }) => typeof error === "string").length;
  const spoken = failed
    ? say("rows_answered_but", { count: count(answers.length - failed), failed: count(failed) })
    : say("rows_answered", { count: count(answers.length) });
  const rows = answers.slice(0, SHOWN).map((answer, place) => rowOf(answer, table.rows[place] ?? [], columns, place));
  const head = make("tr", {}, make("th", { scope: "col", text: "#" }),
    ...columns.map(({ title }) => make("th", { scope: "col", class: "said" }, foreign(title))),
    ...table.header.map((name) => make("th", { scope: "col" }, foreign(name))));
  const keep = button(
    say("save_table"),
    () => download("answers.csv", fileOf(answers, table, columns)),
    { class: "quiet" },
  );
  const more = answers.length > SHOWN
    ? make("p", { class: "soft", text: say("rows_shown", { count: count(SHOWN) }) })
    : null;
  const element = make("div", { class: "answer" },
    make("p", { class: "what", text: spoken }), make("div", { class: "buttons" }, keep),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": say("answers") },
      make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))), more);
  return { element, spoken };
}

function rowOf(answer, cells, columns, place) {
  const asked = cells.map((cell) => make("td", {}, foreign(cell)));
  if (typeof answer.error === "string") {
    const wrong = make("td", { class: "bad", colspan: columns.length }, foreign(answer.error));
    return make("tr", {}, make("th", { scope: "row", text: count(place + 1) }), wrong, ...asked);
  }
  const said = columns.map(({ of, show, kind = "said" }) => {
    const value = of(answer);
    return make(
      "td",
      { class: kind },
      value === null || value === undefined ? "" : foreign(show ? show(value) : value),
    );
  });
  return make("tr", {}, make("th", { scope: "row", text: count(place + 1) }), ...said, ...asked);
}

/** The columns of a task's answers: [{ title, of(answer), show(value) }]. */
function columnsOf(schema, answers) {
  const target = schema.targets[0]?.name ?? "";
  const columns = taskColumns(schema, answers, target);
  if (answers.some(({ warnings }) => Array.isArray(warnings))) {
    columns.push(
      {
        title: say("remarks"),
        kind: "remarks",
        of: ({ warnings }) => (Array.isArray(warnings) ? warnings.join("; ") : null),
      },
    );
  }
  return columns;
}

function taskColumns(schema, answers, target) {
  if (schema.task === "regress") return numberColumns(schema, answers);
  if (schema.task === "cluster") return [{ title: say("group_title"), of: ({ cluster }) => cluster }];
  if (schema.task === "act") return [{ title: say("does"), of: ({ action }) => action }];
  if (schema.task === "embed") return [{ title: say("vector"), of: ({ vector }) => JSON.stringify(vector) }];
  if (["write", "chat", "translate", "fill"].includes(schema.task)) {
    return [{ title: say("answer"), of: ({ text }) => text }];
  }
  if (schema.task === "tag") {
    const said = ({ spans }) => spans?.map(({ text, label }) => `${text}: ${label}`).join("; ");
    return [{ title: target, of: said }];
  }
  if (schema.task === "relate") {
    return [{ title: say("near_words"), of: ({ near }) => near?.map(({ word }) => word).join(", ") }];
  }
  if (answers.some(({ labels }) => labels)) return [{ title: target, of: ({ labels }) => labels?.join(", ") }];
  return [
    { title: target, of: ({ label }) => label },
    { title: say("probability"), of: ({ probability }) => probability, show: percent },
  ];
}

function numberColumns(schema, answers) {
  const isOne = schema.targets.length <= 1;
  const hasInterval = schema.targets.some(
    ({ name }) => answers.some((answer) => typeof (isOne ? answer : answer[name])?.low === "number"),
  );
  return schema.targets.flatMap(({ name }) => {
    const part = (end) => (answer) => (isOne ? answer : answer[name])?.[end];
    const ends = hasInterval
      ? [
        { title: say("low_of", { name }), of: part("low"), show: number },
        { title: say("high_of", { name }), of: part("high"), show: number },
      ]
      : [];
    return [{ title: name, of: part("value"), show: number }, ...ends];
  });
}

/** All rows with all that was said, unrounded. */
function fileOf(answers, table, columns) {
  const header = [...table.header, ...columns.map(({ title }) => title), "error"];
  const rows = answers.map((answer, place) => {
    const asked = table.header.map((_, column) => table.rows[place]?.[column]);
    const isWrong = typeof answer.error === "string";
    return [...asked, ...columns.map(({ of }) => (isWrong ? null : of(answer))), isWrong ? answer.error : null];
  });
  // the mark tells spreadsheets that it is UTF-8
  return new Blob([`\ufeff${write(header, rows)}`], { type: "text/csv" });
}
