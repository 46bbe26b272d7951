// Training frames, as the node lists them. What is shown is fetched again whenever the dataset has changed.
import { request, thumbnailAddress } from "./api.js";
import { html, useEffect, useState } from "./html.js";
import { countOf, useStore } from "./store.js";

export const PAGE = 200; // the most that ~/list_frames returns at once
const MOST_COUNTED = 1000;
const STRIP = 16;
// During a recording the strip grows this often.
const STRIP_MS = 400;

/** The frames of a label, from `offset`; an empty label stands for all. */
export const listFrames = (label, offset, limit, thumbnails) => request("list_frames", { label, offset, limit, thumbnails });

/** All frames of a label, without thumbnails. */
export async function allFrames(label, most = Infinity) {
  const frames = [];
  for (;;) {
    const { frames: page, total } = await listFrames(label, frames.length, PAGE, false);
    frames.push(...page);
    if (!page.length || frames.length >= Math.min(total, most)) return frames;
  }
}

/** Number of frames and of recordings of each label; recordings are null until they are known. */
export function useCounts(labels) {
  const dataset = useStore((state) => state.dataset);
  const isRecording = useStore(({ recording }) => Boolean(recording?.active));
  const [bursts, setBursts] = useState({});
  useEffect(() => {
    if (isRecording || !dataset) return;
    let isCurrent = true;
    (async () => {
      for (const label of labels) {
        const frames = countOf(dataset, label);
        if (!frames) continue;
        const listed = await allFrames(label, MOST_COUNTED).catch(() => null);
        if (!isCurrent || !listed) return;
        setBursts((before) => ({ ...before, [label]: { frames, bursts: new Set(listed.map(({ burst }) => burst)).size } }));
      }
    })();
    return () => {
      isCurrent = false;
    };
  }, [dataset, isRecording, labels.join()]);
  return Object.fromEntries(
    labels.map((label) => {
      const frames = countOf(dataset, label);
      return [label, { frames, bursts: frames === 0 ? 0 : bursts[label]?.frames === frames ? bursts[label].bursts : null }];
    }),
  );
}

/** The newest frames of a label, which grow while it is recorded. */
export function Strip({ label, frames }) {
  const [newest, setNewest] = useState([]);
  const stamp = useStore(({ dataset }) => dataset?.stamp);
  useEffect(() => {
    if (!frames) return setNewest([]);
    let isCurrent = true;
    const timer = setTimeout(async () => {
      const answer = await listFrames(label, Math.max(0, frames - STRIP), STRIP, true).catch(() => null);
      if (isCurrent && answer) setNewest(answer.frames.reverse());
    }, STRIP_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [label, Math.floor(frames / 4), stamp]);
  return html`<ul class="strip" aria-hidden="true">
    ${newest.map(({ frame, thumbnail }) => html`<li key=${frame}>${thumbnail && html`<img src=${thumbnailAddress(thumbnail)} alt="" />`}</li>`)}
  </ul>`;
}
