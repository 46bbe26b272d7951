// This device's camera: its frames go to the server as JPEG, one for each credit.
import { onMessage, send } from "./connection.js";
import { say } from "./messages.js";
import * as store from "./store.js";

// The node's networks see at most 224 pixels per side, and hands are found in 640.
const WIDTH = 640;
const QUALITY = 0.85;
// Key of the session: the side of the camera that this page uses.
const IN_USE = "camera-in-use";

let stream = null;
let credit = false;
const video = document.createElement("video");
video.muted = true;
video.playsInline = true;
const canvas = document.createElement("canvas");

const change = (own) => store.set({ ownCamera: { ...store.get().ownCamera, ...own } });

/** Asks for the camera and sends its frames; `facing` is user (front) or environment (back). */
export async function start(facing = "user") {
  stop();
  change({ state: "starting", facing, problem: "" });
  try {
    stream = await open(facing);
    video.srcObject = stream;
    await video.play();
  } catch (error) {
    stop();
    change({ state: "failed", problem: problemText(error) });
    return;
  }
  stream.getVideoTracks()[0].addEventListener("ended", () => {
    stop();
    say("the browser or the system has ended the camera", { isError: true });
  });
  const devices = await navigator.mediaDevices.enumerateDevices();
  const actual = stream.getVideoTracks()[0].getSettings().facingMode;
  change({ state: "on", facing: actual ?? facing, canSwitch: devices.filter(({ kind }) => kind === "videoinput").length > 1 });
  send({ camera: true });
  sessionStorage.setItem(IN_USE, store.get().ownCamera.facing);
}

export function stop() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  video.srcObject = null;
  credit = false;
  sessionStorage.removeItem(IN_USE);
  if (store.get().ownCamera.state !== "off") {
    send({ camera: false });
    change({ state: "off", problem: "" });
  }
}

export const switchSide = () => start(store.get().ownCamera.facing === "environment" ? "user" : "environment");

function open(facing) {
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", window.isSecureContext ? "NotSupportedError" : "InsecureContext");
  return navigator.mediaDevices.getUserMedia({
    audio: false,
    video: { facingMode: { ideal: facing }, width: { ideal: WIDTH }, height: { ideal: 480 }, frameRate: { ideal: 30 } },
  });
}

export function problemText({ name, message }) {
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
  if (!credit || !stream || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
  credit = false;
  const scale = Math.min(1, WIDTH / Math.max(video.videoWidth, video.videoHeight));
  Object.assign(canvas, { width: Math.round(scale * video.videoWidth), height: Math.round(scale * video.videoHeight) });
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  const bytes = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  if (bytes && stream) send(bytes);
}

// Each frame of the camera once, where the browser tells when there is one.
function watch() {
  const again = () => sendFrame().finally(watch);
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(again);
  else setTimeout(again, 33);
}
watch();

onMessage("camera_credit", (isGranted) => {
  credit = Boolean(isGranted);
});

// After a lost connection the server knows nothing of this camera, and after a reload the page goes on with it.
let wasConnected = false;
let isLoaded = false;
store.listen(({ connected, page }) => {
  if (connected && !wasConnected && stream) send({ camera: true });
  wasConnected = connected;
  if (isLoaded || !page) return;
  isLoaded = true;
  const facing = sessionStorage.getItem(IN_USE);
  if (facing && page.browser_camera) start(facing);
});
