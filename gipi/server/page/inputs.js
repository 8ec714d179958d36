// The ways to give a model its input. Each is one module with three things:
//
//   word             its name among the words, where a person can choose between several
//   emptyRequest     of an input that is empty at first: what "call it from code" shows until there is something
//   waits            true: a change is not answered before the button was pressed once
//   takes(schema)    whether it fits what the model wants
//   build(schema, room) -> {
//     element        what a person sees
//     request()      what is sent: { type, body, drawing?, streams?, picture?, rows?, table? }; throws Unready, having
//                    said beside the input what is missing
//     answered(request, answers)  is told what came, where the next question needs it (a talk)
//     keep()         what the person gave so far, `fill(kept)` gives it back; an example is filled in the same way
//     mark(details)  says the server's errors beside the fields that they are of; gives back those that are of none
//     file           the name of a file that "call it from code" reads in place of the body, with the body in it
//   }
//
// room.cleared() tells the page that what was answered belongs to nothing any more. room.changed(isWhole) tells the page that the input is another now; isWhole: it can be answered as it stands.
// A new kind (a sound) is a module and a line here.

import * as chat from "./input_chat.js";
import * as count from "./input_count.js";
import * as csv from "./input_csv.js";
import * as drawing from "./input_drawing.js";
import * as picture from "./input_picture.js";
import * as prompt from "./input_prompt.js";
import * as stream from "./input_stream.js";
import * as table from "./input_table.js";
import * as text from "./input_text.js";

const KINDS = [count, stream, drawing, picture, table, text, prompt, chat, csv];

/** Those that fit a model, the best first. */
export function inputsFor(schema) {
  return KINDS.filter((kind) => kind.takes(schema));
}
