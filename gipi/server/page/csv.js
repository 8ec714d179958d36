// Tables as text, both ways (RFC 4180): read to show rows beside their answers, written for a person to keep.

const SEPARATORS = [",", ";", "\t"];

/** { header, rows } of a text; quoted cells may hold separators, quotes and line ends. */
export function read(text) {
  const clean = text.replace(/^\ufeff/, "");
  const separator = separatorOf(clean);
  const lines = [];
  let [line, cell, isQuoted] = [[], "", false];
  for (let place = 0; place < clean.length; place += 1) {
    const letter = clean[place];
    if (isQuoted) {
      if (letter !== '"') cell += letter;
      else if (clean[place + 1] === '"') cell += clean[(place += 1)];
      else isQuoted = false;
    } else if (letter === '"' && cell === "") isQuoted = true;
    else if (letter === separator) [line, cell] = [[...line, cell], ""];
    else if (letter === "\n" || letter === "\r") {
      if (letter === "\r" && clean[place + 1] === "\n") place += 1;
      lines.push([...line, cell]);
      [line, cell] = [[], ""];
    } else cell += letter;
  }
  if (cell !== "" || line.length) lines.push([...line, cell]);
  const full = lines.filter((cells) => cells.length > 1 || cells[0].trim() !== "");
  return { header: full[0] ?? [], rows: full.slice(1) };
}

/** The separator that the first line has most of. */
function separatorOf(text) {
  const first = text.split(/\r?\n/, 1)[0].replace(/"[^"]*"/g, "");
  return SEPARATORS.reduce((best, one) => (first.split(one).length > first.split(best).length ? one : best));
}

/** A table as the server reads it: whatever the separator was, commas now. */
export function encode(header, rows) {
  return lines(header, rows, (value) => value ?? "");
}

/** A table as text; opened in a spreadsheet, none of its cells is taken for a formula. */
export function write(header, rows) {
  return lines(header, rows, harmless);
}

function lines(header, rows, textOf) {
  return [header, ...rows].map(
    (row) => row.map((value) => quoted(String(textOf(value)))).join(","),
  ).join("\r\n") + "\r\n";
}

function quoted(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function harmless(value) {
  if (typeof value !== "string") return value ?? "";
  const isNumber = value.trim() !== "" && Number.isFinite(Number(value));
  return /^[=+\-@\t\r]/.test(value) && !isNumber ? `'${value}` : value;
}
