// A picture from the camera, in a dialog with what it sees. The camera is let go as soon as the dialog is closed.

import { button, make } from "./dom.js";
import { say } from "./words.js";

/** A photograph as a JPEG, or null where the person thought better of it.
 *
 * Throws an Error whose message says why there is none: no camera, none allowed, or a page that may not ask.
 */
export async function photograph(opener) {
  if (!navigator.mediaDevices?.getUserMedia) throw new Error(say("camera_insecure"));
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  } catch (error) {
    const isRefused = error.name === "NotAllowedError" || error.name === "SecurityError";
    throw new Error(say(isRefused ? "camera_refused" : "camera_missing"));
  }
  try {
    return await shown(stream);
  } finally {
    stream.getTracks().forEach((track) => track.stop());
    opener.focus();
  }
}

function shown(stream) {
  const video = make("video", { autoplay: true, playsinline: true, "aria-label": say("camera_view") });
  video.muted = true;
  video.srcObject = stream;
  return new Promise((resolve) => {
    const take = button(say("take_picture"), async () => close(await still(video)), { class: "main" });
    const cancel = button(say("cancel"), () => close(null), { class: "quiet" });
    const dialog = make(
      "dialog",
      { "aria-label": say("camera") },
      video,
      make("div", { class: "buttons" }, take, cancel),
    );
    dialog.addEventListener("cancel", () => close(null)); // the Escape key
    document.body.append(dialog);
    dialog.showModal();
    take.focus();

    function close(taken) {
      dialog.remove();
      resolve(taken);
    }
  });
}

function still(video) {
  const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((keep) => canvas.toBlob(keep, "image/jpeg", 0.95));
}
