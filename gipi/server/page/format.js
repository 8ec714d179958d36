// Numbers and moments as the person's language writes them.

import { language } from "./words.js";

const made = new Map();

function formatter(options) {
  const name = language() + JSON.stringify(options);
  if (!made.has(name)) made.set(name, new Intl.NumberFormat(language(), options));
  return made.get(name);
}

/** A measured number: four digits say all that a model knows. */
export function number(value, digits = 4) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return formatter({}).format(0); // -0 too
  const notation = size !== 0 && (size >= 1e9 || size < 1e-4) ? "scientific" : "standard";
  if (size >= 10 ** digits && notation === "standard") return formatter({ maximumFractionDigits: 0 }).format(value);
  return formatter({ maximumSignificantDigits: digits, notation }).format(value);
}

/** A count of things. */
export function count(value) {
  return formatter({ maximumFractionDigits: 0 }).format(value);
}

/** A share of 1. What is not quite nothing or everything is not written as if it were. */
export function percent(share) {
  if (typeof share !== "number" || !Number.isFinite(share)) return "–";
  const write = (value) => formatter(
    { style: "percent", maximumFractionDigits: 1, minimumFractionDigits: value % 1 ? 1 : 0 },
  ).format(value);
  if (share > 0 && share < 0.001) return `< ${write(0.001)}`;
  if (share < 1 && share > 0.999) return `> ${write(0.999)}`;
  return write(share);
}

/** A day, with its time where it has one. */
export function moment(text) {
  const when = new Date(text);
  if (Number.isNaN(when.getTime())) return String(text);
  const isDay = /^\d{4}-\d\d-\d\d(T00:00(:00(\.0+)?)?)?$/.test(text);
  const options = isDay ? { dateStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" };
  // a day alone is read as midnight in Greenwich, which is the day before in half of the world
  return new Intl.DateTimeFormat(language(), options).format(
    /^\d{4}-\d\d-\d\d$/.test(text) ? new Date(`${text}T00:00`) : when,
  );
}

/** A size in bytes. */
export function bytes(size) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, size)) / 10));
  const options = { style: "unit", unit: units[step], unitDisplay: "short", maximumFractionDigits: 1 };
  return formatter(options).format(size / 1024 ** step);
}
