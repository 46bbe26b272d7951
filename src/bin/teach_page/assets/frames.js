// Training frames, as the node lists them. What is shown is fetched again whenever the dataset has changed.
import { request, thumbnailAddress } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { countOf, useStore } from "./store.js";

export const PAGE = 200; // the most that ~/list_frames returns at once
const MOST_COUNTED = 1000;
const STRIP = 16;
// Pauses after a list was fetched, however often the dataset changes: an import adds many frames a second.
const STRIP_MS = 400;
const COUNT_MS = 1000;

/** The frames of a label, from `offset`; an empty label stands for all. */
const listFrames = (label, offset, limit, thumbnails) => request("list_frames", { label, offset, limit, thumbnails });

/** The same with thumbnails. Those in `known`, by frame, are not fetched again. */
export async function listThumbnails(label, offset, limit, known) {
  const { frames, total } = await listFrames(label, offset, limit, false);
  const thumbnails = new Map(known);
  const isMissing = ({ frame }) => thumbnails.get(frame) == null;
  const first = frames.findIndex(isMissing);
  if (first >= 0) {
    const missing = await listFrames(label, offset + first, frames.findLastIndex(isMissing) - first + 1, true);
    for (const { frame, thumbnail } of missing.frames) thumbnails.set(frame, thumbnail);
  }
  return { total, frames: frames.map((each) => ({ ...each, thumbnail: thumbnails.get(each.frame) })) };
}

export const thumbnailsOf = (frames) => new Map(frames.map(({ frame, thumbnail }) => [frame, thumbnail]));

/** Calls `load` now and after each change of `inputs`, one call after the other with a pause between them; returns what ends the pause and calls it again. */
export function useLoading(load, inputs, pauseMs) {
  const latest = useRef(load);
  latest.current = load;
  const loading = useRef({ isWanted: false, isRunning: false, isOver: false, wake: null }).current;
  const request = async () => {
    loading.isWanted = true;
    if (loading.isRunning) return;
    loading.isRunning = true;
    while (loading.isWanted && !loading.isOver) {
      loading.isWanted = false;
      await latest.current(() => !loading.isOver);
      await new Promise((resolve) => {
        loading.wake = resolve;
        setTimeout(resolve, pauseMs);
      });
    }
    loading.isRunning = false;
  };
  useEffect(() => {
    request();
  }, inputs);
  useEffect(
    () => () => {
      loading.isOver = true;
    },
    [],
  );
  return () => {
    request();
    loading.wake?.();
  };
}

/** All frames of a label, without thumbnails. */
export async function allFrames(label, most = Infinity) {
  const frames = [];
  for (;;) {
    const { frames: page, total } = await listFrames(label, frames.length, PAGE, false);
    frames.push(...page);
    if (!page.length || frames.length >= Math.min(total, most)) return frames;
  }
}

/** Number of frames and of recordings of each label. Recordings are null until they are known, and then late by a moment. */
export function useCounts(labels) {
  const dataset = useStore((state) => state.dataset);
  const isRecording = useStore(({ recording }) => Boolean(recording?.active));
  const [bursts, setBursts] = useState({});
  const load = async (isCurrent) => {
    if (isRecording) return;
    for (const label of labels) {
      const frames = countOf(dataset, label);
      if (bursts[label]?.frames === frames) continue;
      const listed = frames ? await allFrames(label, MOST_COUNTED).catch(() => null) : [];
      if (!isCurrent() || !listed) return;
      setBursts((before) => ({ ...before, [label]: { frames, bursts: new Set(listed.map(({ burst }) => burst)).size } }));
    }
  };
  useLoading(load, [dataset, isRecording, labels.join()], COUNT_MS);
  return Object.fromEntries(
    labels.map((label) => {
      const frames = countOf(dataset, label);
      return [label, { frames, bursts: frames === 0 ? 0 : (bursts[label]?.bursts ?? null) }];
    }),
  );
}

/** The newest frames of a label, which grow while it is recorded. */
export function Strip({ label, frames }) {
  const [newest, setNewest] = useState([]);
  const stamp = useStore(({ dataset }) => dataset?.stamp);
  const load = async (isCurrent) => {
    const answer = await listThumbnails(label, Math.max(0, frames - STRIP), STRIP, thumbnailsOf(newest)).catch(() => null);
    if (isCurrent() && answer) setNewest(answer.frames.reverse());
  };
  useLoading(load, [Math.floor(frames / 4), stamp], STRIP_MS);
  return html`<ul class="strip" aria-hidden="true">
    ${newest.map(({ frame, thumbnail }) => html`<li key=${frame}>${thumbnail && html`<img src=${thumbnailAddress(thumbnail)} alt="" />`}</li>`)}
  </ul>`;
}
