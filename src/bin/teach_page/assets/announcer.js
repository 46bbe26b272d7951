// Says to a screen reader what others see: a new stable gesture, and what is wrong with the picture.
import { labelText } from "./format.js";
import { problemOf } from "./health.js";
import { html, useEffect, useState } from "./html.js";
import { shownCameras, useStore } from "./store.js";

// A gesture that flickers is not worth a sentence.
const SETTLED_MS = 700;

export function Announcer() {
  const text = useStore((state) => {
    const camera = shownCameras(state)[0];
    const problem = problemOf(state, camera);
    if (problem) return problem.title;
    const gesture = state.gestures[camera];
    return gesture?.stable ? `Gesture: ${labelText(gesture.label)}` : null;
  });
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (!text) return;
    const timer = setTimeout(() => setSaid(text), SETTLED_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<p class="only-heard" role="status" aria-live="polite" data-announced="">${said}</p>`;
}
