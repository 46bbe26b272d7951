// The first view: record, train, correct.
import { correct } from "./edits.js";
import { useCounts } from "./frames.js";
import { Guide } from "./guide.js";
import { html } from "./html.js";
import { Labels } from "./labels.js";
import { labelsOf, useStore } from "./store.js";
import { Training, TrainButton } from "./training.js";

export function Teach() {
  const labels = useStore(labelsOf);
  const counts = useCounts(labels);
  const skipped = useStore(({ dataset }) => dataset?.message);
  return html`<div class="teach">
    <h1 class="only-heard">Teach</h1>
    <${Guide} labels=${labels} counts=${counts} />
    <${Labels} labels=${labels} counts=${counts} />
    ${skipped && html`<p class="note">${skipped}</p>`}
    <${Training} labels=${labels} counts=${counts} />
    <div class="dock">
      <button type="button" onClick=${correct}>That was wrong</button>
      <${TrainButton} labels=${labels} counts=${counts} />
    </div>
  </div>`;
}
