// Which pictures were drawn when.
const RATE_MS = 2000;

const times = new Map(); // camera -> times of the last pictures
const sequences = new Map(); // camera -> sequence number of the picture on the screen

export function noteDrawn({ camera, sequence }) {
  const now = performance.now();
  times.set(camera, [...(times.get(camera) ?? []).filter((time) => now - time < RATE_MS), now]);
  sequences.set(camera, sequence);
}

/** Pictures per second on the screen. */
export function shownRate(camera) {
  const now = performance.now();
  return ((times.get(camera) ?? []).filter((time) => now - time < RATE_MS).length * 1000) / RATE_MS;
}

export const sequenceOf = (camera) => sequences.get(camera);
