// "Call it from code": lines for curl and Python that send what stands in the input now, and work as they are.
//
// The key is never among them: they read it from the environment. A picture or a table comes from a file, which can be
// saved here, so that the lines find it.

import { button, download, make } from "./dom.js";
import { address } from "./api.js";
import { say } from "./words.js";

/** The section; `update(request, file)` shows another request. */
export function codeSection(model, isKeyed) {
  const url = new URL(address(model, "predict"), document.baseURI).href;
  const [curl, python] = [make("code"), make("code")];
  const save = button(say("save_input"), () => download(save.dataset.name, given), { class: "quiet", hidden: true });
  let given = null;

  function update(request, file) {
    given = request?.body && !request.json ? new Blob([request.body], { type: request.type }) : null;
    save.hidden = !given;
    save.dataset.name = file ?? "";
    save.textContent = say("save_input", { name: file ?? "" });
    const call = {
      url: request?.drawing ? `${url}?drawing=1` : url,
      type: request?.type ?? "application/json",
      json: request?.json ?? { rows: [] },
      file: request && !request.json ? file : null,
      isKeyed,
    };
    curl.textContent = asCurl(call);
    python.textContent = asPython(call);
  }

  const docs = isKeyed ? null : make("a", { href: "docs", text: say("docs") }); // a link cannot bring the key
  const element = make("section", { class: "panel", "aria-labelledby": "code-title" },
    make("h2", { id: "code-title", text: say("code") }),
    make("p", { class: "soft" }, say(isKeyed ? "code_key" : "code_hint"), " ", docs),
    make("div", { class: "buttons" }, save),
    block("curl", curl), block("Python", python));
  update(null, null);
  return { element, update };
}

function block(name, code) {
  const copy = button(say("copy"), async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      copy.textContent = say("copied");
    } catch {
      // without a clipboard (a page that is not secure): one key is left to press
      getSelection().selectAllChildren(code);
      copy.textContent = say("selected");
    }
    setTimeout(() => (copy.textContent = say("copy")), 2000);
  }, { class: "quiet", "aria-label": `${say("copy")}: ${name}` });
  return make(
    "div",
    { class: "code" },
    make("div", { class: "bar-of-code" }, make("h3", { text: name }), copy),
    make("pre", { tabindex: "0", "aria-label": name }, code),
  );
}

function asCurl({ url, type, json, file, isKeyed }) {
  const body = file ? `--data-binary @${file}` : `--data ${quoted(JSON.stringify(json, null, 1))}`;
  return [
    `curl ${quoted(url)}`,
    ...(isKeyed ? ['-H "X-API-Key: $GIPI_KEY"'] : []),
    `-H ${quoted(`Content-Type: ${type}`)}`,
    body,
  ].join(" \\\n  ");
}

/** A text as one word of a shell. */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function asPython({ url, type, json, file, isKeyed }) {
  const body = file ? `open(${JSON.stringify(file)}, "rb").read()` : `json.dumps(${literal(json)}).encode()`;
  const key = isKeyed ? ', "X-API-Key": os.environ["GIPI_KEY"]' : "";
  return [
    "import json", ...(isKeyed ? ["import os"] : []), "from urllib.request import Request, urlopen", "",
    `body = ${body}`,
    `request = Request(${JSON.stringify(url)}, body, {"Content-Type": ${JSON.stringify(type)}${key}})`,
    "with urlopen(request) as answer:", "    print(json.load(answer))",
  ].join("\n");
}

/** A JSON value as Python writes it; the texts of both are written alike. */
function literal(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map((one) => literal(one)).join(", ")}]`;
  if (typeof value === "object") return braced(
    Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${literal(one)}`),
  );
  return JSON.stringify(value);
}

/** A row of few columns on one line, of many on a line each. */
function braced(items) {
  return items.length > 4 ? `{\n    ${items.join(",\n    ")}}` : `{${items.join(", ")}}`;
}
