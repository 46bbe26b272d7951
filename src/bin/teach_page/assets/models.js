// The stored models: use one, go back, compare two, delete one.
import { call, reportAddress, request } from "./api.js";
import { Confusion } from "./confusion.js";
import { confirm } from "./dialog.js";
import { count, date, labelText, megabytes, percent } from "./format.js";
import { html, useEffect, useState } from "./html.js";
import { say } from "./messages.js";
import { useStore } from "./store.js";

export function Models() {
  const [models, setModels] = useState(null);
  const [problem, setProblem] = useState("");
  const [chosen, setChosen] = useState([]);
  const active = useStore(({ model }) => model);
  const trained = useStore(({ training }) => training?.model_id);
  const isPresent = useStore(({ node }) => node?.present);
  const load = () =>
    request("list_models")
      .then((answer) => {
        setModels(answer.models);
        setProblem(answer.message);
      })
      .catch(({ message }) => setProblem(message));
  useEffect(() => {
    load();
  }, [active?.model_id, trained, isPresent]);
  const remove = async (id) => {
    if (!(await confirm("Delete this model?", `${id} is deleted permanently, with its report.`, "Delete"))) return;
    await call("delete_model", { model_id: id });
    setChosen(chosen.filter((each) => each !== id));
    load();
  };
  const toggle = (id) => setChosen(chosen.includes(id) ? chosen.filter((each) => each !== id) : [...chosen.slice(-1), id]);
  return html`<section class="models" aria-labelledby="models-title">
    <header class="view-head">
      <h1 id="models-title">Models</h1>
      <button type="button" onClick=${rollBack}>Go back to the previous one</button>
    </header>
    ${problem && html`<p class="note">${problem}</p>`}
    ${models?.length === 0 && html`<p class="muted">None is trained yet. Until then the built-in recognizer knows thumbs up and down.</p>`}
    <ul class="model-list">
      ${models?.map(
        (model) => html`<${Model}
          key=${model.model_id}
          model=${model}
          isActive=${model.model_id === active?.model_id}
          isChosen=${chosen.includes(model.model_id)}
          onChoose=${() => toggle(model.model_id)}
          onDelete=${() => remove(model.model_id)}
        />`,
      )}
      ${models && html`<${BuiltIn} isActive=${active?.model_id === "builtin"} isChosen=${chosen.includes("builtin")} onChoose=${models.length ? () => toggle("builtin") : null} />`}
    </ul>
    ${chosen.length === 2 && html`<${Comparison} key=${chosen.join()} ids=${chosen} />`}
  </section>`;
}

async function rollBack() {
  const answer = await call("activate_model", { model_id: "" });
  if (answer) say(answer.message);
}

async function use(id) {
  const answer = await call("activate_model", { model_id: id });
  if (answer) say(answer.message);
}

const interval = ([low, high]) => (low == null ? "" : ` (${percent(low)} to ${percent(high)})`);

function Model({ model, isActive, isChosen, onChoose, onDelete }) {
  const id = model.model_id;
  return html`<li class=${`model ${isActive ? "is-active" : ""}`} data-model=${id}>
    <div class="model-what">
      <strong>${date(model.created) || id}</strong>${isActive && html`<span class="badge">in use</span>`}
      <p>${model.accuracy == null ? "Accuracy not measured" : `${percent(model.accuracy)} right${interval(model.accuracy_interval)}`} · ${count(model.train_frames, "frame")}${model.bytes > 0 ? ` · ${megabytes(model.bytes)}` : ""} · ${model.labels.map(labelText).join(", ")}</p>
      <p class="muted small-print">${id}${isActive && model.backend ? ` · ${model.backend}` : ""}</p>
    </div>
    <div class="model-tools">
      ${!isActive && html`<button type="button" onClick=${() => use(id)}>Use this one</button>`}
      <${CompareBox} isChosen=${isChosen} onChoose=${onChoose} />
      <a class="button plain" href=${reportAddress(id)} target="_blank" rel="noopener">Report</a>
      ${!isActive && html`<button type="button" class="plain" onClick=${onDelete}>Delete</button>`}
    </div>
  </li>`;
}

const CompareBox = ({ isChosen, onChoose }) =>
  html`<label class="check"><input type="checkbox" checked=${isChosen} onChange=${onChoose} />Compare</label>`;

function BuiltIn({ isActive, isChosen, onChoose }) {
  return html`<li class=${`model ${isActive ? "is-active" : ""}`} data-model="builtin">
    <div class="model-what">
      <strong>Built in</strong>${isActive && html`<span class="badge">in use</span>`}
      <p>Recognizes thumbs up and down by the landmarks of a hand, without any training.</p>
    </div>
    <div class="model-tools">
      ${!isActive && html`<button type="button" onClick=${() => use("builtin")}>Use this one</button>`}
      ${onChoose && html`<${CompareBox} isChosen=${isChosen} onChoose=${onChoose} />`}
    </div>
  </li>`;
}

function Comparison({ ids }) {
  const [results, setResults] = useState(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    request("compare_models", { model_ids: ids })
      .then((answer) => setResults(answer.results))
      .catch(({ message }) => setProblem(message));
  }, []);
  return html`<section class="comparison" aria-label="Comparison" aria-live="polite">
    <h2>On the same frames</h2>
    ${!results && !problem && html`<p class="muted">Both models classify the same frames …</p>`}
    ${problem && html`<p class="problem">${problem}</p>`}
    ${results && html`<p>${comparedText(results)}</p>`}
    <div class="side-by-side">${results?.models.map((model) => html`<${Compared} key=${model.model_id} model=${model} results=${results} />`)}</div>
  </section>`;
}

function comparedText({ frames, unseen_frames: unseen }) {
  if (!unseen) return `One of them was trained on each of the ${count(frames, "frame")}, so that this says little. Record some frames, and compare again.`;
  return `${count(unseen, "frame")} on which neither was trained; the table is of all ${frames}.`;
}

function Compared({ model, results }) {
  const [accuracy, range] = results.unseen_frames ? [model.unseen_accuracy, model.unseen_interval] : [model.accuracy, model.interval];
  return html`<div>
    <h3>${model.model_id}</h3>
    <p><b class="figure">${percent(accuracy)}</b> right${interval(range ?? [])}</p>
    <${Confusion} labels=${results.labels} confusion=${model.confusion} frames="all frames" />
  </div>`;
}
