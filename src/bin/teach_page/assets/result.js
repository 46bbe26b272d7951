// What a training got, in plain sentences, and what to do next.
import { call, imageAddress, reportAddress, request } from "./api.js";
import { Curve } from "./curve.js";
import { deleteFrames, moveFrames } from "./edits.js";
import { labelText, list, percent } from "./format.js";
import { ENOUGH_BURSTS, ENOUGH_FRAMES, missingOf } from "./enough.js";
import { html, useEffect, useState } from "./html.js";
import { Confusion, mostConfused } from "./confusion.js";
import { useStore } from "./store.js";

const SHOWN_MISTAKES = 12;
const LOADING_MS = 8000;

/** `isNew`: the training has ended while this page was open. */
export function Result({ training, isNew, labels, counts, history }) {
  const [results, setResults] = useState(null);
  const id = training.model_id;
  useEffect(() => {
    request("get_results", { model_id: id })
      .then((answer) => setResults(answer.results))
      .catch(() => setResults(null));
  }, [id]);
  const isActive = useStore(({ model }) => model?.model_id === id);
  // A promoted model is loaded and tried before it is in use.
  const [isSettled, setIsSettled] = useState(!training.activated || !isNew);
  useEffect(() => {
    const timer = setTimeout(() => setIsSettled(true), LOADING_MS);
    return () => clearTimeout(timer);
  }, [id]);
  return html`<div class=${`outcome ${isActive ? "is-good" : ""}`}>
    <h2>${headline(training, results)}</h2>
    <p>${intervalText(results)} ${gateText(training, isActive, isSettled)}</p>
    ${!isActive && isSettled && html`<p><button type="button" onClick=${() => call("activate_model", { model_id: id })}>Use it all the same</button></p>`}
    <${Next} training=${training} labels=${labels} counts=${counts} results=${results} />
    ${training.warnings?.map((warning) => html`<p class="note">${warning}</p>`)}
    <details class="more">
      <summary>Mistakes and curves</summary>
      ${results?.confusion && html`<${Confusion} labels=${results.labels} confusion=${results.confusion} />`}
      ${results?.mistakes && html`<${Mistakes} mistakes=${results.mistakes} total=${results.mistakes_total} labels=${labels} />`}
      <${Curve} history=${history} />
      <p><a href=${reportAddress(id)} target="_blank" rel="noopener">The whole report</a></p>
    </details>
  </div>`;
}

function headline({ accuracy }, results) {
  if (accuracy == null) return "A new model, not measured";
  const frames = results?.confusion?.flat().reduce((sum, value) => sum + value, 0);
  if (!frames) return `${percent(accuracy)} of unseen frames right`;
  return `${Math.round(accuracy * frames)} of ${frames} unseen frames right`;
}

function intervalText(results) {
  const [low, high] = results?.interval ?? [];
  return low == null ? "" : `Of many frames like these, ${percent(low)} to ${percent(high)} are right.`;
}

function gateText({ accuracy, activated, message, new_scene_accuracy: newScene }, isActive, isSettled) {
  const scene = newScene == null ? "" : ` In a place that it has not seen: ${percent(newScene)}.`;
  const use = isActive ? (activated ? "In use now" : "In use now, though it was not promoted") : !activated ? "Not in use" : isSettled ? "It was in use, another model is now" : "Being loaded";
  // Without what the page says anyway.
  const why = message.replace(/^model \S+ is (?:in use|stored but not active): /, "").replace(/; the running model stays in use, .*$/, "");
  const few = accuracy == null ? " There were too few recordings to hold one out." : "";
  return `${use}${why && `: ${why}`}.${few}${scene}`;
}

function Next({ training, labels, counts, results }) {
  const advice = [];
  if (training.advice) advice.push(training.advice.replace(/^./, (first) => first.toUpperCase()));
  const missing = missingOf(labels, counts);
  if (missing.length) advice.push(`Record more of ${list(missing.map(labelText))}: ${ENOUGH_FRAMES} frames from ${ENOUGH_BURSTS} places make the accuracy mean something.`);
  const confused = results?.confusion && mostConfused(results.labels, results.confusion);
  if (confused) advice.push(`${labelText(confused[0])} is most often taken for ${labelText(confused[1])}: record both again, from the same place.`);
  if (!advice.length) return null;
  return html`<h3>Next</h3>
    <ul class="advice">
      ${advice.map((text) => html`<li>${text}</li>`)}
    </ul>`;
}

function Mistakes({ mistakes, total, labels }) {
  const [done, setDone] = useState([]);
  const shown = mistakes.filter(({ frame }) => !done.includes(frame)).slice(0, SHOWN_MISTAKES);
  if (!shown.length) return html`<p class="muted">${total === 0 ? "No frame was taken for another label." : "The frames of the mistakes were moved or deleted."}</p>`;
  const change = async (frame, edit) => (await edit) && setDone((before) => [...before, frame]);
  return html`<ul class="mistakes">
    ${shown.map(
      ({ frame, label, predicted, probability }) => html`<li key=${frame}>
        <img src=${imageAddress(frame)} alt=${`A frame of ${labelText(label)}`} loading="lazy" />
        <p>Recorded as <b>${labelText(label)}</b>, taken for <b>${labelText(predicted)}</b>${probability != null && ` (${percent(probability)})`}</p>
        <label>
          It is
          <select value="" onChange=${({ target }) => target.value && change(frame, moveFrames([frame], target.value))}>
            <option value="">…</option>
            ${labels.filter((each) => each !== label).map((each) => html`<option value=${each}>${labelText(each)}</option>`)}
          </select>
        </label>
        <button type="button" class="plain" onClick=${() => change(frame, deleteFrames([frame]))}>Delete</button>
      </li>`,
    )}
  </ul>`;
}
