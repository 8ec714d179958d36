// A canvas to draw on, for models whose pictures are drawings.
//
// The pen is as wide as the bundle says, in its ink: light on dark or dark on light, whatever the page's theme is,
// since that is what the model saw. How a drawing is cropped and centred is the bundle's business too: the whole canvas
// is sent. A stroke is kept as its points, so undo needs no pictures, and every width of screen draws the same.

import { blobOf, button, make, newId } from "./dom.js";
import { Unready } from "./unready.js";
import { say } from "./words.js";

const SIDE = 336; // pixels of the longer side: many times what models of drawings take
const INKS = { light: ["#ffffff", "#000000"], dark: ["#000000", "#ffffff"] };
const PAUSE = 150; // milliseconds after a stroke: a figure may have another

export const word = "draw";
export const emptyRequest = { type: "image/png", body: null, drawing: true };

export function takes(schema) {
  return Boolean(schema.drawing) && schema.inputs[0]?.kind === "picture";
}

export function build(schema, room) {
  const [ink, ground] = INKS[schema.drawing.ink] ?? INKS.light;
  const { width, height } = sides(schema.inputs[0]);
  const pen = Math.max(2, schema.drawing.pen * Math.min(width, height));
  const hint = newId();
  const canvas = make(
    "canvas",
    { class: "paper", width, height, role: "img", "aria-label": say("canvas"), "aria-describedby": hint },
  );
  const brush = canvas.getContext("2d");
  const undo = button(say("undo"), takeBack, { class: "quiet" });
  const clear = button(say("clear"), () => set([]), { class: "quiet" });
  const wrong = make("p", { class: "wrong", role: "alert", hidden: true });
  let [strokes, current, timer, blob] = [[], null, 0, null];
  const element = make("div", { class: "drawing" }, canvas,
    make("p", { class: "soft", id: hint, text: say("canvas_hint") }),
    make("div", { class: "buttons" }, undo, clear), wrong);

  canvas.addEventListener("pointerdown", begin);
  canvas.addEventListener("pointermove", go);
  for (const event of ["pointerup", "pointercancel"]) canvas.addEventListener(event, end);
  redraw();

  function placeOf(event) {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  }

  function begin(event) {
    if (current || (event.pointerType === "mouse" && event.button !== 0)) return; // one finger draws, others rest
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    clearTimeout(timer);
    current = { id: event.pointerId, points: [placeOf(event)] };
    strokes.push(current.points);
    redraw();
  }

  function go(event) {
    if (event.pointerId !== current?.id) return;
    const moves = event.getCoalescedEvents?.() ?? []; // what the screen was too slow to show is drawn all the same
    for (const move of moves.length ? moves : [event]) current.points.push(placeOf(move));
    redraw();
  }

  function end(event) {
    if (event.pointerId !== current?.id) return;
    current = null;
    timer = setTimeout(settled, PAUSE);
  }

  function takeBack() {
    set(strokes.slice(0, -1));
  }

  function set(given) {
    clearTimeout(timer);
    strokes = given;
    redraw();
    settled();
  }

  function settled() {
    seen();
    room.changed(Boolean(blob));
  }

  function seen() {
    // not toBlob: a browser does that when it has nothing else to do, up to a second later
    blob = strokes.length ? blobOf(canvas.toDataURL("image/png")) : null;
  }

  function redraw() {
    brush.fillStyle = ground;
    brush.fillRect(0, 0, width, height);
    Object.assign(brush, { strokeStyle: ink, fillStyle: ink, lineWidth: pen, lineCap: "round", lineJoin: "round" });
    for (const points of strokes) stroke(brush, points, pen);
    undo.disabled = clear.disabled = !strokes.length;
    wrong.hidden = true;
  }

  function request() {
    seen(); // a person may ask before the pen has rested
    if (blob) return { type: "image/png", body: blob, picture: blob, drawing: true };
    wrong.textContent = say("nothing_drawn");
    wrong.hidden = false;
    throw new Unready(wrong.textContent, clear.disabled ? null : clear);
  }

  function mark(details) {
    return details;
  }

  return {
    element,
    request,
    mark,
    keep: () => strokes,
    fill: (kept) => (Array.isArray(kept) ? set(kept) : null),
    file: "drawing.png",
  };
}

/** A curve through the middles between points: corners of a slow screen are rounded. */
function stroke(brush, points, pen) {
  if (points.length === 1) {
    brush.beginPath();
    brush.arc(points[0][0], points[0][1], pen / 2, 0, 2 * Math.PI);
    brush.fill();
    return;
  }
  brush.beginPath();
  brush.moveTo(...points[0]);
  for (let place = 1; place < points.length - 1; place += 1) {
    const [x, y] = points[place];
    const [nextX, nextY] = points[place + 1];
    brush.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
  }
  brush.lineTo(...points.at(-1));
  brush.stroke();
}

/** The canvas in the proportions of the model's picture. */
function sides({ width, height }) {
  const [wide, high] = [width ?? 1, height ?? 1];
  const scale = SIDE / Math.max(wide, high);
  return { width: Math.round(wide * scale), height: Math.round(high * scale) };
}
