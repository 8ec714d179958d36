// A picture: from a file, dropped, pasted, taken with the camera, or one of the examples.
//
// It is sent as it is, never drawn anew: what a model answers here is what it answers to the same file elsewhere.

import { blobOf, button, make } from "./dom.js";
import { bytes, count } from "./format.js";
import { photograph } from "./camera.js";
import { Unready } from "./unready.js";
import { say } from "./words.js";

export const word = "picture";
export const emptyRequest = { type: "image/png", body: null }; // for "call it from code", before there is a picture

export function takes(schema) {
  return schema.inputs[0]?.kind === "picture" && schema.task !== "generate";
}

export function build(schema, room) {
  let [blob, shown] = [null, null];
  const file = make(
    "input",
    { type: "file", accept: "image/*", class: "unseen", tabindex: "-1", "aria-hidden": "true" },
  );
  const preview = make("img", { class: "preview", alt: say("your_picture"), hidden: true });
  const invitation = make("p", { class: "soft", text: say("drop_here") });
  const wrong = make("p", { class: "wrong", role: "alert", hidden: true });
  const open = button(say("open_picture"), () => file.click(), { class: "quiet" });
  const camera = button(say("camera"), takePhotograph, { class: "quiet" });
  const area = make(
    "div",
    { class: "drop" },
    preview,
    invitation,
    make("div", { class: "buttons" }, open, camera, file),
  );
  const element = make("div", {}, exampleRow(schema.examples ?? [], take), area, wrong);
  file.addEventListener("change", () => file.files[0] && take(file.files[0]));
  preview.addEventListener("load", () => preview.classList.toggle("small", preview.naturalWidth < 128));
  preview.addEventListener("error", () => complain(say("not_shown")));
  dropInto(area, take);

  // pasted anywhere: a picture has no field that could be in focus; the listener goes when the page is built anew
  document.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (!pasted || !element.isConnected || element.closest("[hidden]")) return;
    event.preventDefault();
    take(pasted);
  }, { signal: room.gone });

  async function takePhotograph() {
    try {
      const taken = await photograph(camera);
      if (taken) take(taken);
    } catch (error) {
      complain(error.message);
    }
  }

  function take(given) {
    file.value = "";
    const most = schema.limits?.bytes ?? Infinity;
    if (given.size > most) return complain(say("file_large", { size: bytes(given.size), most: bytes(most) }));
    if (given.type && !given.type.startsWith("image/")) return complain(say("no_picture", { kind: given.type }));
    complain("");
    blob = given;
    if (shown) URL.revokeObjectURL(shown);
    shown = URL.createObjectURL(given);
    preview.src = shown;
    preview.hidden = false;
    invitation.hidden = true;
    return room.changed(true);
  }

  function complain(sentence) {
    wrong.textContent = sentence;
    wrong.hidden = !sentence;
  }

  function request() {
    if (blob) return { type: blob.type || "application/octet-stream", body: blob, picture: blob };
    complain(say("picture_missing"));
    throw new Unready(say("picture_missing"), open);
  }

  function mark(details) {
    complain(details.map(({ error }) => String(error)).join(" "));
    return [];
  }

  return {
    element, request, mark, keep: () => blob, fill: (kept) => (kept instanceof Blob ? take(kept) : null),
    get file() {
      return `picture.${/^image\/(\w+)/.exec(blob?.type ?? "")?.[1].replace("jpeg", "jpg") ?? "png"}`;
    },
  };
}

/** Files that are let fall into an area. */
function dropInto(area, take) {
  const light = (isOver) => (event) => {
    event.preventDefault();
    area.classList.toggle("over", isOver);
  };
  area.addEventListener("dragover", light(true));
  area.addEventListener("dragleave", light(false));
  area.addEventListener("drop", (event) => {
    light(false)(event);
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
}

/** Examples as small pictures to click. */
function exampleRow(examples, take) {
  const found = examples.filter((row) => String(row.picture).startsWith("data:image/"));
  if (!found.length) return null;
  const chips = found.map((row, place) => {
    const picture = make("img", { src: row.picture, alt: say("example", { number: count(place + 1) }) });
    return button(picture, () => take(blobOf(row.picture)), { class: "thumb" });
  });
  const title = make("span", { class: "soft", text: say("examples") });
  return make("div", { class: "examples", role: "group", "aria-label": say("examples") }, title, ...chips);
}
