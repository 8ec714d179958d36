// The model's card: how good it is, on what, made of what and when. What a card of another day adds is shown by its
// name.

import { foreign, make } from "./dom.js";
import { moment, number, percent } from "./format.js";
import { metricName, say } from "./words.js";

const SHARES = new Set([
  ...["accuracy", "balanced_accuracy", "subset_accuracy", "pixel_accuracy", "error_rate", "exact_match"],
  ...["coverage", "agreement", "linear_probe", "neighbors"],
]);
const FACTS = ["name", "task", "system", "data", "made", "run", "runtime"]; // in this order, before all others
const APART = new Set(["metrics", "metrics_of", "verdict", "versions"]);

export function cardSection(card) {
  const names = [
    ...FACTS.filter((name) => name in card),
    ...Object.keys(card).filter((name) => !FACTS.includes(name) && !APART.has(name)),
  ];
  const facts = names.map((name) => [nameOf(name), textOf(name, card[name])]).filter(([, text]) => text !== null);
  for (const [name, version] of Object.entries(card.versions ?? {})) facts.push([name, String(version)]);
  return make("section", { class: "panel card", "aria-labelledby": "card-title" },
    make("h2", { id: "card-title", text: say("card") }),
    verdict(card.verdict), metrics(card.metrics, card.metrics_of),
    make(
      "dl",
      { class: "facts" },
      ...facts.map(([name, text]) => make("div", {}, make("dt", {}, foreign(name)), make("dd", {}, foreign(text)))),
    ));
}

function nameOf(name) {
  return say(`card_${name}`, {}, name.replaceAll("_", " "));
}

function textOf(name, value) {
  if (value === null || value === undefined || value === "") return null;
  if (name === "made") return moment(value);
  if (typeof value === "number") return number(value, 6);
  if (typeof value === "object") return Object.keys(value).length ? JSON.stringify(value) : null;
  return String(value);
}

function verdict(said) {
  const sentence = typeof said === "string" ? said : said?.sentence;
  if (!sentence) return null;
  const tone = said.worth_it === true ? "good" : said.worth_it === false ? "warn" : "";
  return make(
    "div",
    { class: `verdict ${tone}` },
    make("h3", { text: say("verdict") }),
    make("p", {}, foreign(sentence)),
  );
}

/** Every metric with its 95 % interval. */
function metrics(found, of) {
  const rows = Object.entries(found ?? {});
  if (!rows.length) return null;
  const cell = (name, value) => (SHARES.has(name) ? percent(value) : number(value));
  const body = rows.map(([name, metric]) => {
    const { value, low, high } = typeof metric === "object" && metric !== null ? metric : { value: metric };
    const between = typeof low === "number" && typeof high === "number"
      ? `${cell(name, low)} … ${cell(name, high)}`
      : "";
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, foreign(metricName(name))),
      make("td", { text: cell(name, value) }),
      make("td", { class: "soft", text: between }),
    );
  });
  const head = make(
    "tr",
    {},
    make("th", { scope: "col", text: say("metric") }),
    make("th", { scope: "col", text: say("value") }),
    make("th", { scope: "col", text: say("interval_95") }),
  );
  const caption = make("caption", { text: of ? say("measured_on", { part: String(of) }) : say("measured") });
  return make(
    "div",
    { class: "scroll" },
    make("table", { class: "metrics" }, caption, make("thead", {}, head), make("tbody", {}, ...body)),
  );
}
