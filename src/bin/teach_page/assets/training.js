// The training: one button, its progress, and what came of it.
import { request } from "./api.js";
import { Curve } from "./curve.js";
import { duration, labelText, percent, sentence } from "./format.js";
import { html, useEffect, useRef } from "./html.js";
import { Result } from "./result.js";
import { set, TRAINING, useStore } from "./store.js";

const STAGES = {
  features: "Looking at the frames",
  hands: "Looking for hands",
  fit: "Learning",
  export: "Writing the model",
};

async function ask(service, fields) {
  set({ trainingProblem: "" });
  try {
    await request(service, fields);
  } catch (error) {
    set({ trainingProblem: error.message });
  }
}

export function TrainButton({ labels, counts }) {
  const isRunning = useStore(({ training }) => training?.state === TRAINING.RUNNING);
  const isReady = useStore(({ connected, node }) => Boolean(connected && node?.present));
  const recorded = labels.filter((label) => counts[label].frames > 0);
  const lacks = recorded.length < 2 ? "Record two labels first" : "";
  if (isRunning) return html`<button type="button" onClick=${() => ask("cancel_training")}>Cancel training</button>`;
  const train = () => {
    if (!lacks && isReady) ask("retrain", { skip_empty_labels: true });
  };
  return html`<button type="button" class="primary" aria-disabled=${lacks || !isReady ? "true" : null} title=${lacks} onClick=${train}>
    Train${lacks && html`<small>${lacks}</small>`}
  </button>`;
}

export function Training({ labels, counts }) {
  const training = useStore((state) => state.training);
  const history = useStore((state) => state.training_history);
  const problem = useStore((state) => state.trainingProblem);
  const section = useRef(null);
  const sawItRun = useRef(false);
  if (training?.state === TRAINING.RUNNING) sawItRun.current = true;
  const before = useRef(null);
  useEffect(() => {
    // What has just begun or ended is worth a look; what was there at the start of the page is not.
    if (before.current != null && before.current !== training?.state) section.current?.scrollIntoView({ block: "start" });
    before.current = training?.state ?? null;
  }, [training?.state]);
  useEffect(() => problem && section.current?.scrollIntoView({ block: "start" }), [problem]);
  if (!training?.state && !problem) return null;
  return html`<section class="training" aria-label="Training" ref=${section}>
    ${problem && html`<p class="problem" role="alert">${sentence(problem)}</p>`}
    ${training?.state === TRAINING.RUNNING && html`<${Progress} training=${training} history=${history} />`}
    ${training?.state === TRAINING.FAILED && html`<div class="outcome is-bad"><h2>The training failed</h2><p>${training.message}</p></div>`}
    ${training?.state === TRAINING.CANCELLED && html`<div class="outcome"><h2>The training was cancelled</h2><p>${training.message}</p></div>`}
    ${training?.state === TRAINING.SUCCEEDED && html`<${Result} key=${training.model_id} training=${training} isNew=${sawItRun.current} labels=${labels} counts=${counts} history=${history} />`}
  </section>`;
}

function Progress({ training, history }) {
  const left = duration(training.time_left);
  const folds = training.folds > 1 ? ` · part ${training.fold + 1} of ${training.folds}` : "";
  return html`
    <h2><span role="status">${STAGES[training.stage] ?? "Starting"} …</span></h2>
    <progress max="1" value=${training.progress} aria-label="Progress of the training"></progress>
    <p class="muted">
      ${percent(training.progress)}${left && ` · ${left} left`}${training.strategy && ` · ${labelText(training.strategy)}`}${folds}${training.accuracy != null && ` · ${percent(training.accuracy)} right so far`}
    </p>
    <${Curve} history=${history} epochs=${training.epochs} />
  `;
}
