// Making elements. All that a person, a model or a server says becomes text or the value of an attribute, never markup:
// there is no innerHTML on this page, and the browser is told to refuse it.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "selected", "disabled", "hidden", "open", "multiple", "readOnly"]);

/** An HTML element.
 *
 * make("button", { class: "quiet", type: "button", on: { click: ask } }, "Ask")
 *
 * `text` is its text, `on` its listeners, what is null, undefined or false is left out.
 */
export function make(tag, props = {}, ...children) {
  return dress(document.createElement(tag), props, children);
}

/** An element of a drawing. */
export function shape(tag, props = {}, ...children) {
  return dress(document.createElementNS(SVG, tag), props, children);
}

function dress(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

let number = 0;

/** A name for an element that others refer to. */
export function newId() {
  number += 1;
  return `e${number}`;
}

/** A button that does something here. */
export function button(text, act, props = {}) {
  return make("button", { type: "button", on: { click: act }, ...props }, text);
}

/** Mark a control as wrong, or as right again. */
export function markInvalid(control, isWrong) {
  if (isWrong) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
}

/** A sentence to be read aloud, once. */
export function announce(text) {
  const live = document.getElementById("live");
  live.textContent = "";
  setTimeout(() => (live.textContent = text), 50); // the same sentence twice is only read when it was gone between
}

/** Words that came from outside, kept from turning the direction of what stands beside them. */
export function foreign(text, props = {}) {
  return make("bdi", props, String(text));
}

/** Let a person keep something as a file. */
export function download(name, blob) {
  const address = URL.createObjectURL(blob);
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** The bytes behind a data URL; `fetch` is not allowed to read one here. */
export function blobOf(dataUrl) {
  const comma = dataUrl.indexOf(",");
  const type = /^data:([\w/+.-]+)/.exec(dataUrl)?.[1] ?? "application/octet-stream";
  return new Blob([Uint8Array.from(atob(dataUrl.slice(comma + 1)), (letter) => letter.charCodeAt(0))], { type });
}
