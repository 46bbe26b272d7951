// Which pictures were drawn when.
const RATE_MS = 2000;

const times = new Map(); // camera -> times of the last pictures
const stamps = new Map(); // camera -> stamp of the picture on the screen

export function noteDrawn({ camera, stamp }) {
  const now = performance.now();
  times.set(camera, [...(times.get(camera) ?? []).filter((time) => now - time < RATE_MS), now]);
  stamps.set(camera, stamp);
}

/** Pictures per second on the screen. */
export function shownRate(camera) {
  const now = performance.now();
  return ((times.get(camera) ?? []).filter((time) => now - time < RATE_MS).length * 1000) / RATE_MS;
}

export const stampOf = (camera) => stamps.get(camera);
