// What an input throws that cannot be sent yet; what is missing stands beside the field already.

export class Unready extends Error {
  constructor(sentence, focus) {
    super(sentence);
    this.focus = focus; // the element where a person goes on
  }
}

/** A JSON request. */
export function asJson(value) {
  return { type: "application/json", body: JSON.stringify(value), json: value };
}
