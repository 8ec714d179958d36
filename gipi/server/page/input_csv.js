// Many rows at once: a CSV, pasted, dropped or opened, answered as a table.

import { button, make, markInvalid, newId } from "./dom.js";
import { encode, read } from "./csv.js";
import { bytes, count } from "./format.js";
import { Unready } from "./unready.js";
import { say } from "./words.js";
import { takes as takesTable } from "./input_table.js";
import { takes as takesText } from "./input_text.js";

export const word = "many_rows";
export const takes = (schema) => takesTable(schema) || takesText(schema);
export const emptyRequest = { type: "text/csv", body: null };

export function build(schema, room) {
  const [id, wrongId, hintId] = [newId(), newId(), newId()];
  const names = schema.inputs.map((input) => input.name);
  const text = make(
    "textarea",
    {
      id,
      rows: 10,
      spellcheck: "false",
      wrap: "off",
      placeholder: encode(names, []).trim(),
      "aria-describedby": `${hintId} ${wrongId}`,
    },
  );
  const wrong = make("p", { id: wrongId, class: "wrong", role: "alert", hidden: true });
  const size = make("p", { class: "soft", role: "status" });
  const file = make(
    "input",
    { type: "file", accept: ".csv,text/csv", class: "unseen", tabindex: "-1", "aria-hidden": "true" },
  );
  const open = button(say("open_csv"), () => file.click(), { class: "quiet" });
  const example = button(say("rows_of_examples"), () => set(exampleText()), { class: "quiet" });
  const element = make("div", { class: "field" },
    make("label", { for: id, text: say("csv_label") }),
    make("p", { class: "soft", id: hintId, text: say("csv_hint") }),
    make("div", { class: "buttons" }, open, schema.examples?.length ? example : null, file), text, size, wrong);

  file.addEventListener("change", () => file.files[0] && take(file.files[0]));
  text.addEventListener("input", settle);
  element.addEventListener("dragover", (event) => event.preventDefault());
  element.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });

  function exampleText() {
    return encode(names, schema.examples.map((row) => names.map((name) => row[name])));
  }

  async function take(given) {
    file.value = "";
    if (given.size > (schema.limits?.bytes ?? Infinity)) return complain(
      say("file_large", { size: bytes(given.size), most: bytes(schema.limits.bytes) }),
    );
    set(decoded(await given.arrayBuffer()));
  }

  function set(given) {
    text.value = given;
    settle();
    room.changed(true);
  }

  function settle() {
    const { header, rows } = read(text.value);
    complain("");
    size.textContent = text.value.trim()
      ? say("csv_size", { rows: count(rows.length), columns: count(header.length) })
      : "";
  }

  function complain(sentence) {
    wrong.textContent = sentence;
    wrong.hidden = !sentence;
    markInvalid(text, sentence);
    return sentence;
  }

  function request() {
    const table = read(text.value);
    const missing = names.filter((name) => !table.header.includes(name));
    const most = schema.limits?.rows ?? Infinity;
    let sentence = "";
    if (!text.value.trim()) sentence = say("csv_empty");
    else if (missing.length) sentence = say("csv_missing", { names: missing.slice(0, 8).join(", ") });
    else if (!table.rows.length) sentence = say("csv_no_rows");
    else if (table.rows.length > most) sentence = say(
      "csv_many",
      { rows: count(table.rows.length), most: count(most) },
    );
    if (complain(sentence)) throw new Unready(sentence, text);
    return { type: "text/csv", body: encode(table.header, table.rows), table };
  }

  function mark(details) {
    if (!details.length) return [];
    const said = details.map(
      ({ row, field, error }) => say("row_wrong", { row: count(Number(row) + 1), field: field ?? "", error }),
    );
    complain(said.join("\n"));
    text.focus();
    return [];
  }

  return {
    element,
    request,
    mark,
    keep: () => text.value,
    fill: (kept) => (typeof kept === "string" ? set(kept) : null),
    file: "rows.csv",
  };
}

/** A file's text: UTF-8, or what spreadsheets in Korea write where it is not. */
function decoded(content) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    return new TextDecoder("euc-kr").decode(content);
  }
}
