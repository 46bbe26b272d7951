// The live parameters of the node as sliders. What is shown is the node's; a slider only runs ahead of it while it is moved.
import { request } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { useStore } from "./store.js";

const SEND_MS = 80;
const SHOWN_DIGITS = 2;

const TITLES = {
  threshold: "Threshold",
  margin: "Margin",
  hysteresis: "Hysteresis",
  smoothing: "Smoothing",
  hold_time: "Time until stable",
  familiarity_threshold: "Familiarity",
};

// The node accepts up to a minute; a slider of that length has no useful step.
const MAX_SECONDS = 3;
const STEPS = 100;

const isTime = (name) => name === "smoothing" || name === "hold_time";
const isSame = (a, b) => Math.abs(a - b) < 1e-6;

const shown = (value) => Number(value.toFixed(SHOWN_DIGITS)).toString();

export function Settings() {
  const parameters = useStore((state) => state.parameters);
  const [problem, setProblem] = useState("");
  const change = async (values) => {
    try {
      const { results } = await request("set_parameters", values);
      setProblem(results.filter(({ successful }) => !successful).map(({ name, reason }) => reason || `${name} was refused`).join("; "));
    } catch (error) {
      setProblem(error.message);
    }
  };
  const changed = parameters.filter((each) => !isSame(each.value, each.default));
  const reset = () => change(Object.fromEntries(changed.map((each) => [each.name, each.default])));
  return html`<section class="settings" aria-labelledby="settings-title">
    <header class="view-head">
      <h1 id="settings-title">Settings</h1>
      <button type="button" disabled=${!changed.length} onClick=${reset}>Reset all</button>
    </header>
    <p class="muted">Each change acts on the next frame. After a restart the node has the values of its parameter file again.</p>
    <p class="problem" role="alert">${problem}</p>
    ${parameters.map((parameter) => html`<${Slider} key=${parameter.name} parameter=${parameter} onChange=${change} />`)}
  </section>`;
}

function Slider({ parameter, onChange }) {
  const { name, value, description } = parameter;
  const minimum = parameter.minimum ?? 0;
  const maximum = isTime(name) ? Math.max(MAX_SECONDS, value) : (parameter.maximum ?? 1);
  const [own, setOwn] = useState(null);
  const timer = useRef(0);
  // The node has said what it is now, accepted or not.
  useEffect(() => setOwn(null), [parameter]);
  const now = own ?? value;
  const move = ({ target }) => {
    const next = Number(target.value);
    setOwn(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(async () => {
      await onChange({ [name]: next });
      setOwn((before) => (before === next ? null : before));
    }, SEND_MS);
  };
  const id = `setting-${name}`;
  return html`<div class="setting" data-name=${name}>
    <label for=${id}>${TITLES[name] ?? name}</label>
    <output for=${id}>${shown(now)}${isTime(name) ? " s" : ""}</output>
    <input id=${id} type="range" min=${minimum} max=${maximum} step=${(maximum - minimum) / STEPS} value=${now} aria-describedby=${`${id}-text`} onInput=${move} />
    <p id=${`${id}-text`} class="muted">${description}</p>
    <button type="button" class="plain" disabled=${isSame(value, parameter.default)} onClick=${() => onChange({ [name]: parameter.default })}>
      Reset to ${shown(parameter.default)}
    </button>
  </div>`;
}
