// The guide of the first visit. It follows from what the node has, and goes away when a model was trained.
import { labelText, list } from "./format.js";
import { html, useState } from "./html.js";
import { ENOUGH_FRAMES, missingOf } from "./enough.js";
import { local } from "./storage.js";
import { TRAINING, useStore } from "./store.js";

const DISMISSED = "guide-dismissed";

export function Guide({ labels, counts }) {
  const isTaught = useStore(({ model }) => !model || !["", "builtin"].includes(model.model_id));
  const isTrained = useStore(({ training }) => [TRAINING.RUNNING, TRAINING.SUCCEEDED].includes(training?.state));
  const isRecording = useStore(({ recording }) => Boolean(recording?.active));
  const hasDataset = useStore(({ dataset }) => Boolean(dataset));
  const [isDismissed, setIsDismissed] = useState(() => local.get(DISMISSED) != null);
  if (isTaught || isTrained || isDismissed || !hasDataset) return null;
  const dismiss = () => {
    local.set(DISMISSED, "yes");
    setIsDismissed(true);
  };
  const missing = missingOf(labels, counts);
  const isEmpty = labels.every((label) => counts[label].frames === 0) && !isRecording;
  const step = isEmpty ? 0 : missing.length ? 1 : 2;
  const steps = [
    ["Show it", "Hold a button and show that gesture to the camera. Move your hand a little; let go to stop."],
    ["Vary it", `About ${ENOUGH_FRAMES} frames of each, from three places: near and far, left and right, other light.${missing.length ? ` Still short: ${list(missing.map(labelText))}.` : ""}`],
    ["Train", "That is enough. Press Train; it takes about a minute."],
  ];
  return html`<aside class="guide" aria-label="First steps">
    <ol>
      ${steps.map(
        ([title, text], i) => html`<li class=${i === step ? "is-now" : i < step ? "is-done" : ""} aria-current=${i === step ? "step" : null}>
          <span class="step-number" aria-hidden="true">${i < step ? "✓" : i + 1}</span>
          <span><strong>${title}</strong> <span class="step-text">${text}</span></span>
        </li>`,
      )}
    </ol>
    <button type="button" class="plain" aria-label="Close the guide" onClick=${dismiss}>✕</button>
  </aside>`;
}
