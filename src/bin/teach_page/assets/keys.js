// The keys 1 to 9 record the labels in their order, Escape ends it.
import { press, release, stop } from "./recorder.js";
import * as store from "./store.js";

const labelOf = ({ code, key }) => {
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(code)?.[1] ?? (/^[1-9]$/.test(key) ? key : null);
  return digit && store.labelsOf(store.get())[digit - 1];
};

const pressed = new Map(); // code of a key -> the label that it records; the labels can change while it is held

const isTyping = ({ target }) => target.closest?.("input:not([type=range]):not([type=checkbox]), textarea, select, dialog") != null;

export function listenToKeys() {
  window.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return stop();
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
    const label = store.get().view === "teach" && labelOf(event);
    if (!label) return;
    event.preventDefault();
    pressed.set(event.code, label);
    press(label);
  });
  window.addEventListener("keyup", (event) => {
    release(pressed.get(event.code));
    pressed.delete(event.code);
  });
}
