// The WebSocket: updates on credit, recordings, and the frames of this device's camera.
//
// The page asks for the next update when it has drawn the last one, so a slow network or a slow phone gets fewer pictures,
// never old ones. A page that nobody looks at asks for nothing.
import { sentence } from "./format.js";
import { say } from "./messages.js";
import * as store from "./store.js";

const RECONNECT_MS = [300, 600, 1200, 2400];
// After a refusal.
const RETRY_MS = 10_000;
// Any address of the server: the browser does not say why it cannot open a WebSocket.
const PROBE = "assets/icon.svg";
// The server answers after 500 ms at the latest: without an answer for this long the connection is lost, even if the
// browser has not noticed, as after a phone has left the Wi-Fi.
const SILENT_MS = 2500;

let socket = null;
let attempts = 0;
let refusals = 0; // attempts in a row that the server has refused without a reason
let announced = null; // the picture whose bytes come next
let watchdog = 0;
let isWaiting = false; // for the answer to `next`
const pictureListeners = new Set();
const messageListeners = new Map(); // key of a message -> listener
const refusalListeners = new Map(); // key of the request -> listener

/** Calls the listener with {camera, sequence, stamp, width, height} and a Blob for each picture; the next one is asked for when it is done. */
export function onPicture(listener) {
  pictureListeners.add(listener);
  return () => pictureListeners.delete(listener);
}

export const onMessage = (key, listener) => messageListeners.set(key, listener);

/** Calls the listener with the reason when the server refuses such a request: record, camera. */
export const onRefusal = (about, listener) => refusalListeners.set(about, listener);

onMessage("error", ({ about, message }) => {
  const listener = refusalListeners.get(about) ?? ((text) => say(text, { isError: true }));
  listener(message);
});

const isOpen = () => socket?.readyState === WebSocket.OPEN;

/** Sends a message, or the bytes of a picture; returns whether there is a connection. */
export function send(message) {
  if (!isOpen()) return false;
  socket.send(message instanceof Blob ? message : JSON.stringify(message));
  return true;
}

export function connect() {
  const address = new URL("ws", document.baseURI);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const mine = new WebSocket(address);
  socket = mine;
  mine.binaryType = "blob";
  let wasOpen = false;
  watch(mine);
  mine.addEventListener("open", () => {
    wasOpen = true;
    attempts = 0;
    refusals = 0;
    announced = null;
    isWaiting = false;
    store.set({ connected: true, everConnected: true, refusal: "" });
    next();
  });
  mine.addEventListener("message", ({ data }) => mine === socket && receive(data));
  mine.addEventListener("close", async () => {
    const refusal = wasOpen || mine !== socket ? null : await refusalNow();
    if (mine === socket) lost(refusal);
  });
}

function lost(refusal = null) {
  clearTimeout(watchdog);
  socket = null;
  const pauseMs = refusal ? RETRY_MS : RECONNECT_MS[Math.min(attempts, RECONNECT_MS.length - 1)];
  attempts += 1;
  // What the node does now is not known any more.
  store.set({ connected: false, gestures: {}, waitingSince: {}, recording: null, refusal: refusal?.text ?? "" });
  // The server closes the connection of a page that nobody looks at; it is opened again when somebody does.
  if (!document.hidden && !refusal?.isFinal) setTimeout(reconnect, pauseMs);
}

/** Why the server refuses this page, or null if it is not reached. */
async function refusalNow() {
  const response = await fetch(new URL(PROBE, document.baseURI), { cache: "no-store" }).catch(() => null);
  refusals = response?.ok ? refusals + 1 : 0;
  if (!response) return null;
  if (response.ok) {
    // It may have started between the two requests.
    if (refusals === 1) return null;
    return { text: "The server answers, but does not let this page in: too many pages may be open; close one. This one goes on trying.", isFinal: false };
  }
  const answer = await response.json().catch(() => null);
  const text = sentence(answer?.error ?? `the server answered ${response.status} ${response.statusText}`);
  return { text, isFinal: [401, 403].includes(response.status) };
}

const reconnect = () => socket ?? connect();

function next() {
  if (isWaiting || document.hidden) return;
  isWaiting = send({ next: { cameras: store.shownCameras(store.get()) } });
  watch(socket);
}

/** Gives a connection up that is silent from now on. */
function watch(mine) {
  clearTimeout(watchdog);
  if (document.hidden) return;
  watchdog = setTimeout(() => {
    // close() waits for the other side, which may be gone.
    mine?.close();
    if (mine === socket) lost();
  }, SILENT_MS);
}

async function receive(data) {
  if (data instanceof Blob) {
    const picture = announced;
    announced = null;
    if (picture) await Promise.all([...pictureListeners].map((listener) => listener(picture, data)));
    isWaiting = false;
    return next();
  }
  const message = JSON.parse(data);
  for (const [key, value] of Object.entries(message)) {
    if (key === "update") update(value);
    else messageListeners.get(key)?.(value);
  }
}

function update({ picture, gestures, state }) {
  const now = performance.now() / 1000;
  const received = Object.entries(gestures ?? {}).map(([camera, gesture]) => [camera, { ...gesture, at: now - (gesture.received ?? 0) }]);
  const known = { ...store.get(), ...state };
  known.gestures = { ...known.gestures, ...Object.fromEntries(received) };
  store.set({ ...known, waitingSince: waitingSince(known, now) });
  announced = picture;
  if (picture) return;
  isWaiting = false;
  next();
}

function waitingSince({ node, cameras, gestures, waitingSince: before }, now) {
  const waiting = node?.lifecycle === "active" ? cameras.filter(({ name, silent }) => !silent && !gestures[name]) : [];
  return Object.fromEntries(waiting.map(({ name }) => [name, before[name] ?? now]));
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return clearTimeout(watchdog);
  // Those from before are old, which is no fault of the node.
  store.set({ gestures: {}, waitingSince: {} });
  if (!socket) return connect();
  // It may be dead since long ago, also while an answer is due.
  watch(socket);
  next();
});
