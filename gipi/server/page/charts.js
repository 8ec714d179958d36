// What numbers look like: bars, a number with its interval, a vector. Drawn as SVG by hand; the letters beside bars are
// HTML, so that they wrap, grow and are read aloud like all others.

import { foreign, make, shape } from "./dom.js";
import { number } from "./format.js";
import { say } from "./words.js";

/** Shares as bars, one line each: [{ label, share, text }], the first one strong. */
export function bars(items) {
  return make("ol", { class: "bars" }, ...items.map(({ label, share, text }, place) =>
    make("li", { class: place === 0 ? "best" : null },
      foreign(label, { class: "label" }), make("span", { class: "figure", text }), bar(
        0,
        Math.max(0, Math.min(1, share)),
      ))));
}

/** Numbers of any sign as bars from a common zero: [{ label, value }]. */
export function signedBars(items) {
  const values = items.map(({ value }) => value);
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const at = (value) => (high > low ? (value - low) / (high - low) : 0);
  return make("ol", { class: "bars" }, ...items.map(({ label, value }, place) =>
    make("li", { class: place === 0 ? "best" : null },
      foreign(label, { class: "label" }), make("span", { class: "figure", text: number(value) }),
      bar(Math.min(at(0), at(value)), Math.max(at(0), at(value))))));
}

/** A bar from one share of its length to another. */
function bar(from, to) {
  const width = Math.max(0.4, 100 * (to - from));
  return shape("svg", { class: "bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    shape("rect", { class: "rail", x: 0, y: 0, width: 100, height: 8 }),
    shape("rect", { class: "fill", x: 100 * from, y: 0, width, height: 8 }));
}

/** A number within its interval, on a scale with round ticks. */
export function interval(value, low, high) {
  const room = (high - low || Math.abs(value) || 1) * 0.35;
  const [first, last] = [Math.min(low, value) - room, Math.max(high, value) + room];
  const at = (one) => 12 + (376 * (one - first)) / (last - first);
  const ticks = roundTicks(first, last);
  const label = say("interval_read", { value: number(value), low: number(low), high: number(high) });
  return shape("svg", { class: "interval", viewBox: "0 0 400 62", role: "img", "aria-label": label },
    shape("line", { class: "axis", x1: 12, x2: 388, y1: 38, y2: 38 }),
    ...ticks.map((one) => shape("line", { class: "axis", x1: at(one), x2: at(one), y1: 38, y2: 43 })),
    ...ticks.map((one) => shape("text", { x: at(one), y: 57, "text-anchor": "middle" }, number(one))),
    shape("rect", { class: "span", x: at(low), y: 12, width: Math.max(2, at(high) - at(low)), height: 16, rx: 8 }),
    shape("circle", { class: "point", cx: at(value), cy: 20, r: 8 }));
}

/** About four round numbers between two ends. */
function roundTicks(first, last) {
  const rough = (last - first) / 4;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = size * ([1, 2, 5, 10].find((factor) => size * factor >= rough) ?? 10);
  const ticks = [];
  for (let one = Math.ceil(first / step); one * step <= last; one += 1) ticks.push(one * step);
  return ticks;
}

const MOST_COLUMNS = 512; // more would be narrower than a pixel

/** A vector as one column for each number, up or down from the middle. */
export function columns(vector) {
  const shown = vector.slice(0, MOST_COLUMNS);
  const most = Math.max(...shown.map(Math.abs), 1e-30);
  const width = 400 / shown.length;
  const path = shown.map(
    (one, place) => `M${(place + 0.1) * width} 50v${(-48 * one) / most}h${0.8 * width}V50z`,
  ).join("");
  const label = say("vector_read", { count: vector.length });
  const frame = { viewBox: "0 0 400 100", preserveAspectRatio: "none", role: "img", "aria-label": label };
  return shape("svg", { class: "columns", ...frame },
    shape("path", { class: "fill", d: path }), shape("line", { class: "axis", x1: 0, x2: 400, y1: 50, y2: 50 }));
}
