// Hold to record: the one state machine behind fingers, mouse, keys and screen readers.
//
// A press starts a recording and its end stops it. A press that is shorter than a tap leaves it running, and the next tap
// stops it. The server forwards a renewal four times a second to the node, which ends a recording without them by itself.
import { onMessage, onRefusal, send } from "./connection.js";
import * as store from "./store.js";

const TAP_MS = 300;
const RENEW_MS = 250;

let pressedAt = 0;
let timer = 0;
let id = ""; // of the recording, empty until the server has answered
let unanswered = 0; // starts of recordings
let last = ""; // label of the last start

const begin = (label) => {
  const { camera } = store.get();
  if (!send({ record: { label, camera: camera === "*" ? "" : store.shownCameras(store.get())[0] } })) {
    return fail(label, "there is no connection to the robot; nothing is recorded");
  }
  pressedAt = performance.now();
  id = "";
  last = label;
  unanswered += 1;
  timer = setInterval(() => send({ renew: true }), RENEW_MS);
  store.set({ hold: { label, latched: false }, recordProblem: null });
};

/** Ends what this page records, if anything. */
export function stop() {
  if (!store.get().hold) return;
  clearInterval(timer);
  store.set({ hold: null });
  send({ stop: true });
}

/** A finger, a button of the mouse or a key goes down on a label. */
export function press(label) {
  const { hold, recording, recording_mine: isMine } = store.get();
  if (hold) return stop();
  if (recording?.active && !isMine) return fail(label, "somebody else is recording; wait until that ends");
  begin(label);
}

/** It goes up again. */
export function release(label) {
  const { hold } = store.get();
  if (!hold || hold.label !== label || hold.latched) return;
  if (performance.now() - pressedAt < TAP_MS) store.set({ hold: { ...hold, latched: true } });
  else stop();
}

onMessage("record", (answer) => {
  unanswered -= 1;
  // Of an earlier press.
  if (unanswered > 0) return;
  id = answer.id;
  if (!answer.success) fail(last, answer.message);
});

onRefusal("record", (text) => {
  unanswered -= 1;
  stop();
  fail(last, text);
});

/** Nothing is recorded, and the shelf of the label says why. */
function fail(label, text) {
  clearInterval(timer);
  store.set({ hold: null, recordProblem: { label, text } });
}

// It has ended without us: the camera is silent, the lease ran out, the connection or the node is lost.
store.listen(({ connected, recording, node, hold }) => {
  if (!connected) unanswered = 0;
  if (!hold) return;
  const isOver = id && recording?.id === id && !recording.active;
  if (connected && node?.present !== false && !isOver) return;
  stop();
  const why = !connected ? "the connection was lost" : isOver ? recording.message : "the gesture node is gone";
  fail(hold.label, `the recording has ended: ${why}`);
});

// Whoever looks away, or at another view, does not hold a hand up any more.
for (const type of ["blur", "hashchange", "pagehide"]) window.addEventListener(type, stop);
document.addEventListener("visibilitychange", () => document.hidden && stop());
