// This device's camera: its frames go to the server as JPEG, one for each credit.
import { onMessage, onRefusal, send } from "./connection.js";
import { sentence } from "./format.js";
import { say } from "./messages.js";
import { session } from "./storage.js";
import * as store from "./store.js";

// The node's networks see at most 224 pixels per side, and hands are found in 640.
const WIDTH = 640;
const QUALITY = 0.85;
// Key of the session: the side of the camera that this page uses.
const IN_USE = "camera-in-use";
// After a lost connection or a reload the server may hold the camera for the old connection for a while.
const PATIENCE_MS = 10_000;
const RETRY_MS = 1000;

let stream = null;
let credit = false;
let isSending = false;
let patientUntil = 0;
let retry = 0;
const video = document.createElement("video");
video.muted = true;
video.playsInline = true;
const canvas = document.createElement("canvas");

const change = (own) => store.set({ ownCamera: { ...store.get().ownCamera, ...own } });

/**
 * Asks for the camera and sends its frames; `facing` is user (front) or environment (back). A refusal of the server within
 * `patienceMs` is not the last word.
 */
export async function start(facing = "user", patienceMs = 0) {
  stop();
  change({ state: "starting", facing, problem: "" });
  try {
    stream = await open(facing);
    video.srcObject = stream;
    await video.play();
  } catch (error) {
    return fail(problemText(error));
  }
  stream.getVideoTracks()[0].addEventListener("ended", () => {
    stop();
    say("the browser or the system has ended the camera", { isError: true });
  });
  const devices = await navigator.mediaDevices.enumerateDevices();
  const actual = stream.getVideoTracks()[0].getSettings().facingMode;
  change({ state: "on", facing: actual ?? facing, canSwitch: devices.filter(({ kind }) => kind === "videoinput").length > 1 });
  take(patienceMs);
  session.set(IN_USE, store.get().ownCamera.facing);
}

function take(patienceMs) {
  patientUntil = performance.now() + patienceMs;
  send({ camera: true });
}

export function stop() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  video.srcObject = null;
  credit = false;
  patientUntil = 0;
  clearTimeout(retry);
  session.set(IN_USE, null);
  if (store.get().ownCamera.state !== "off") {
    send({ camera: false });
    change({ state: "off", problem: "" });
  }
}

/** Stops it and says why: over the picture if there is none, otherwise in a message. */
function fail(problem) {
  stop();
  change({ state: "failed", problem });
  if (store.get().cameras.some(({ silent }) => !silent)) say(problem, { isError: true });
}

export const switchSide = () => start(store.get().ownCamera.facing === "environment" ? "user" : "environment");

function open(facing) {
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", window.isSecureContext ? "NotSupportedError" : "InsecureContext");
  return navigator.mediaDevices.getUserMedia({
    audio: false,
    video: { facingMode: { ideal: facing }, width: { ideal: WIDTH }, height: { ideal: 480 }, frameRate: { ideal: 30 } },
  });
}

function problemText({ name, message }) {
  const texts = {
    InsecureContext: `Browsers give a camera only to pages from https:// or localhost, and this one is from ${location.origin}. Open it on the computer itself as http://localhost, or start the page with TLS.`,
    NotSupportedError: "This browser offers no camera to pages.",
    NotAllowedError: "This page may not use the camera. Allow it in the browser's address bar or settings, and try again.",
    NotFoundError: "This device has no camera, or the browser sees none.",
    NotReadableError: "The camera is in use by another program. Close that, and try again.",
    AbortError: "The camera has not started. Try again.",
    OverconstrainedError: "This device has no such camera.",
  };
  return texts[name] ?? `The camera has not started: ${message || name}.`;
}

async function sendFrame() {
  if (isSending || !credit || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
  isSending = true;
  try {
    const scale = Math.min(1, WIDTH / Math.max(video.videoWidth, video.videoHeight));
    Object.assign(canvas, { width: Math.round(scale * video.videoWidth), height: Math.round(scale * video.videoHeight) });
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    const bytes = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
    // Without a picture the credit stays for the next one; it may have ended meanwhile.
    if (bytes && credit && send(bytes)) credit = false;
  } finally {
    isSending = false;
  }
}

// Each frame of the camera once, where the browser tells when there is one.
function watch() {
  const again = () => sendFrame().finally(watch);
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(again);
  else setTimeout(again, 33);
}
watch();

onMessage("camera_credit", (isGranted) => {
  credit = Boolean(isGranted) && stream != null;
  patientUntil = 0;
});

onRefusal("camera", (text) => {
  // It was stopped meanwhile.
  if (!stream) return;
  if (performance.now() > patientUntil) return fail(sentence(text));
  clearTimeout(retry);
  retry = setTimeout(() => send({ camera: true }), RETRY_MS);
});

// After a lost connection the server knows nothing of this camera, and after a reload the page goes on with it.
let wasConnected = false;
let isLoaded = false;
store.listen(({ connected, page }) => {
  if (connected && !wasConnected && stream) take(PATIENCE_MS);
  if (!connected) credit = false;
  wasConnected = connected;
  if (isLoaded || !page) return;
  isLoaded = true;
  const facing = session.get(IN_USE);
  if (facing && page.browser_camera) start(facing, PATIENCE_MS);
});
