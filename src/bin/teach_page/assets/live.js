// The live picture with its gesture, and the probabilities below it.
import { Banner } from "./banner.js";
import { onPicture } from "./connection.js";
import { labelText, milliseconds, percent } from "./format.js";
import { problemOf, reasonText } from "./health.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Icon, iconOf } from "./icons.js";
import { noteDrawn, shownRate } from "./pictures.js";
import { labelsOf, shownCameras, useStore } from "./store.js";

const UNKNOWN = 255;

export function Live() {
  const cameras = useStore(shownCameras);
  return html`<section class="live" aria-label="Live picture" data-cameras=${cameras.length}>
    <div class="screens">${cameras.map((camera) => html`<${Screen} key=${camera} camera=${camera} />`)}</div>
    <div class="all-bars">${cameras.map((camera) => html`<${Bars} key=${camera} camera=${camera} />`)}</div>
  </section>`;
}

function Screen({ camera }) {
  const canvas = useRef(null);
  const [size, setSize] = useState(null);
  const problem = useStore((state) => JSON.stringify(problemOf(state, camera)));
  const isMirrored = useStore(({ ownCamera }) => ownCamera.state === "on" && ownCamera.facing !== "environment");
  const count = useStore(({ cameras }) => cameras.length);
  useEffect(() => {
    let isDrawn = false;
    return onPicture(async (picture, bytes) => {
      if (picture.camera !== camera || !canvas.current) return;
      const bitmap = await createImageBitmap(bytes).catch(() => null);
      if (!bitmap || !canvas.current) return;
      const { width, height } = bitmap;
      if (!isDrawn || canvas.current.width !== width || canvas.current.height !== height) {
        Object.assign(canvas.current, { width, height });
        setSize({ width, height });
        isDrawn = true;
      }
      canvas.current.getContext("2d").drawImage(bitmap, 0, 0);
      bitmap.close();
      noteDrawn(picture);
    });
  }, [camera]);
  const found = JSON.parse(problem);
  return html`<figure
    class=${`screen ${found ? "is-stale" : ""} ${size ? "" : "is-empty"}`}
    style=${{ "--ratio": size ? `${size.width} / ${size.height}` : "4 / 3" }}
  >
    <canvas ref=${canvas} class=${isMirrored ? "is-mirrored" : ""} role="img" aria-label=${`Picture of the camera ${camera}`.trim()}></canvas>
    ${found ? html`<${Banner} problem=${found} camera=${camera} />` : html`<${Gesture} camera=${camera} />`}
    ${!found && !size && html`<p class="waiting">Waiting for the first picture …</p>`}
    <div class="chips">
      ${count > 1 && html`<span class="chip">${camera}</span>`}
      ${!found && html`<${Rate} camera=${camera} />`}
      <${RecordingChip} />
    </div>
  </figure>`;
}

function Gesture({ camera }) {
  const gesture = useStore(({ gestures }) => gestures[camera]);
  if (!gesture) return null;
  const isUnknown = gesture.gesture === UNKNOWN;
  const state = isUnknown ? "is-unknown" : gesture.stable ? "is-stable" : "is-new";
  return html`<figcaption class=${`gesture ${state}`} data-label=${isUnknown ? "" : gesture.label} data-stable=${String(gesture.stable)}>
    <${Icon} name=${isUnknown ? "unknown" : iconOf(gesture.label)} />
    <span class="gesture-name">${isUnknown ? "not sure" : labelText(gesture.label)}</span>
    <span class="gesture-more">${isUnknown ? reasonText(gesture.reason) : gesture.stable ? "stable" : "hold still …"}</span>
  </figcaption>`;
}

function Rate({ camera }) {
  const source = useStore(({ cameras }) => cameras.find(({ name }) => name === camera));
  const gesture = useStore(({ gestures }) => gestures[camera]);
  if (!gesture) return null;
  const rate = source?.rate > 0 ? `${Math.round(source.rate)} Hz` : "";
  const parts = [rate, `${milliseconds(gesture.age)} old`].filter(Boolean);
  return html`<span class="chip" title=${`Shown here: ${Math.round(shownRate(camera))} pictures a second. Runs on ${gesture.backend}.`}>
    <span class="live-dot"></span>${parts.join(" · ")} <span class="backend">· ${gesture.recognizer} · ${gesture.backend}</span>
  </span>`;
}

function RecordingChip() {
  const recording = useStore((state) => state.recording);
  if (!recording?.active) return null;
  return html`<span class="chip is-recording"><span class="record-dot"></span>${labelText(recording.label)} ${recording.saved}</span>`;
}

function Bars({ camera }) {
  const gesture = useStore(({ gestures }) => gestures[camera]);
  const isTrusted = useStore((state) => problemOf(state, camera) == null);
  const threshold = useStore(({ parameters }) => parameters.find(({ name }) => name === "threshold")?.value);
  const labels = useStore(({ model }) => model?.labels ?? []);
  const order = useStore(labelsOf);
  const names = gesture?.labels?.length ? gesture.labels : labels;
  const shown = order.filter((label) => names.includes(label)).concat(names.filter((label) => !order.includes(label)));
  const most = Math.max(...(gesture?.probabilities ?? [0]));
  return html`<ul class=${`bars ${isTrusted ? "" : "is-stale"}`} aria-label="Probabilities" style=${{ "--threshold": threshold ?? 0, "--columns": Math.min(shown.length, 4) }}>
    ${shown.map((label) => {
      const value = (isTrusted && gesture?.probabilities?.[names.indexOf(label)]) || 0;
      return html`<li key=${label} class=${value > 0 && value === most ? "is-most" : ""}>
        <span class="bar-name">${labelText(label)}</span>
        <span class="bar" style=${{ "--value": value }}></span>
        <span class="bar-value">${isTrusted ? percent(value) : "–"}</span>
      </li>`;
    })}
  </ul>`;
}
