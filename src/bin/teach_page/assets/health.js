// What is wrong with the live picture, in words; the banner and the announcements of a screen reader show it.
import { sentence } from "./format.js";

// The server says how long ago each gesture arrived, and this page how long ago it said so.
const OLD_AFTER = 2;
// A node that has just started, or loads a model, needs some seconds for its first gesture.
const MISSING_AFTER = 5;

/** {title, text, isCalm} or null if all is well. `isCalm` is for what is no failure: there is just nothing yet. */
export function problemOf(state, camera) {
  const { connected, everConnected, refusal, node, cameras, model, page, gestures, waitingSince, ownCamera } = state;
  if (!connected) {
    if (refusal) return { title: "The robot refuses this page", text: refusal };
    if (!everConnected) return { title: "Connecting…", text: "The page is looking for the robot.", isCalm: true };
    return { title: "Connection lost", text: "What you see is not live. The page is trying to reach the robot again." };
  }
  if (!node) return null;
  const name = node.name ?? "thumb_gesture";
  if (!node.present) {
    return { title: "The gesture node is gone", text: `Nothing is recognized or recorded. Start ${name} again; this page goes on by itself.` };
  }
  if (node.lifecycle && node.lifecycle !== "active") {
    return { title: `The node is ${node.lifecycle}`, text: `Nothing is recognized. To start it: ros2 lifecycle set ${name} activate` };
  }
  const source = cameras.find((each) => each.name === camera);
  if (!source || source.silent) {
    if (page?.browser_camera && ["off", "failed"].includes(ownCamera.state)) {
      return { title: "No camera yet", text: "Use the camera of this device, or start one on the robot.", isCalm: true };
    }
    if (ownCamera.state === "starting") return { title: "Starting the camera…", text: "Your browser may ask whether this page may use it.", isCalm: true };
    return { title: "The camera is silent", text: `No frame arrives${source?.topic ? ` on ${source.topic}` : ""}. The gesture cannot be trusted.` };
  }
  const gesture = gestures[camera];
  if (gesture?.reason === "stale") {
    return { title: "The picture is not live", text: staleText(state) };
  }
  if (gesture && performance.now() / 1000 - gesture.at > OLD_AFTER) {
    return { title: "No gesture arrives", text: "The node has not answered for more than two seconds. The gesture cannot be trusted." };
  }
  if (model && !model.model_id) return { title: "Nothing is recognized yet", text: model.message || "There is no model. Record frames and train one." };
  if (performance.now() / 1000 - (waitingSince[camera] ?? Infinity) > MISSING_AFTER) {
    return { title: "No gesture arrives", text: warningOf(state) ?? "Frames arrive here, but no gesture of the node. Its topics may be remapped for one of the two programs only." };
  }
  return null;
}

const staleText = (state) => `${warningOf(state) ?? "The camera has stopped, or repeats its last images."} The gesture cannot be trusted.`;

/** What the node itself says is wrong. */
function warningOf({ diagnostics }) {
  const told = diagnostics.find(({ level }) => level > 0)?.message;
  return told && sentence(told);
}

const REASONS = {
  threshold: "no label is probable enough",
  margin: "two labels are about equally probable",
  unfamiliar: "this place or light was not taught; record some frames here",
  stale: "the picture is not live",
  inactive: "the node is not active",
  not_finite: "the model is damaged",
};

/** Why there is no gesture. */
export const reasonText = (reason) => REASONS[reason] ?? reason;
