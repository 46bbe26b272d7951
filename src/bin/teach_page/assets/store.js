// What the page knows. All of it is the node's, as the server last said it, or what this page is doing right now.
import { useEffect, useState } from "./html.js";

/** Values of `training.state`. */
export const TRAINING = { IDLE: 0, RUNNING: 1, SUCCEEDED: 2, FAILED: 3, CANCELLED: 4 };

let state = {
  // Of the connection to the server.
  connected: false,
  everConnected: false,
  refusal: "", // why the server refuses this page
  // Of the node, see `update` in connection.js: node, cameras, model, dataset, training, recording, parameters and so on.
  cameras: [],
  parameters: [],
  diagnostics: [],
  training_history: [],
  gestures: {},
  waitingSince: {}, // camera that sends frames and has no gesture yet -> time, seconds
  // Of this page.
  view: "teach",
  camera: null, // the name of the camera that is shown, null for the first one, "*" for all
  hold: null, // what this page records: {label, latched}
  recordProblem: null, // why its last recording has failed: {label, text}
  trainingProblem: "", // why the last training that was asked for has not started
  ownLabels: [], // labels that were added here and have no frames yet
  ownCamera: { state: "off" }, // this device's camera, see camera.js
};

const listeners = new Set();

export const get = () => state;

/** Changes some keys and calls the listeners. */
export function set(changes) {
  state = { ...state, ...changes };
  for (const listener of [...listeners]) listener(state);
}

export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const isSame = (a, b) => Object.is(a, b) || (Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => Object.is(item, b[i])));

/** A part of the state. The component is rendered again only when that part changes; an array counts as its items. */
export function useStore(select) {
  const [value, setValue] = useState(() => select(state));
  useEffect(() => {
    let last = value;
    const check = (now) => {
      const next = select(now);
      if (isSame(last, next)) return;
      last = next;
      setValue(() => next);
    };
    check(state);
    return listen(check);
  }, []);
  return value;
}

/** The labels that can be recorded: those of the dataset, of the model, and new ones; thumbs and none come first. */
export function labelsOf({ dataset, model, ownLabels }) {
  const known = ["thumbs_up", "thumbs_down", "none"];
  const recorded = dataset?.labels ?? [];
  const names = new Set([...(recorded.length < 2 ? known : []), ...(model?.labels ?? []), ...recorded, ...ownLabels]);
  // The spelling of the dataset takes precedence, as in the node.
  const spelling = (name) => name.toLowerCase().replaceAll(/[_-]/g, "");
  const taken = new Set(recorded.map(spelling));
  const wanted = [...names].filter((name) => recorded.includes(name) || !taken.has(spelling(name)));
  const rank = (name) => {
    const index = known.findIndex((label) => spelling(label) === spelling(name));
    return index < 0 ? known.length : index;
  };
  return wanted.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

export function countOf(dataset, label) {
  const index = dataset?.labels.indexOf(label) ?? -1;
  return index < 0 ? 0 : dataset.frames[index];
}

/** Frames of the current recording, and of the last one until the node has counted them. */
export function uncountedOf({ dataset, recording }, label) {
  if (recording?.label !== label) return 0;
  return recording.active || !(dataset?.stamp >= recording.stamp) ? recording.saved : 0;
}

/** The names of the cameras that are shown. */
export function shownCameras({ cameras, camera }) {
  const names = cameras.map(({ name }) => name);
  if (camera === "*") return names;
  return [names.includes(camera) ? camera : (names[0] ?? "")];
}
