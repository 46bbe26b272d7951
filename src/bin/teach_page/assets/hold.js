// The button that records while it is held: by touch, pen, mouse, the keys Space and Enter, or the click of a screen reader.
import { labelText } from "./format.js";
import { html, useEffect } from "./html.js";
import { Icon, iconOf } from "./icons.js";
import { press, release, stop } from "./recorder.js";
import { useStore } from "./store.js";

export function HoldButton({ label, number, frames }) {
  const recording = useStore((state) => state.recording);
  const isMine = useStore((state) => state.recording_mine);
  const hold = useStore((state) => state.hold);
  useEffect(() => () => release(label), []);

  const isHeld = hold?.label === label;
  const isRecording = Boolean(recording?.active && recording.label === label);
  const isBlocked = Boolean(recording?.active && !isMine && !hold);
  const state = isHeld || isRecording ? "is-recording" : isBlocked ? "is-blocked" : "";

  const down = (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    press(label);
  };
  const up = () => release(label);
  const onKey = (action) => (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (!event.repeat) action(label);
  };
  const click = ({ detail }) => {
    // Only that of assistive technology: the others have been handled as presses.
    if (detail !== 0) return;
    press(label);
    release(label);
  };
  return html`<button
    type="button"
    class=${`hold ${state}`}
    data-label=${label}
    aria-pressed=${String(isHeld)}
    aria-disabled=${isBlocked ? "true" : null}
    aria-keyshortcuts=${number < 10 ? String(number) : null}
    onPointerDown=${down}
    onPointerUp=${up}
    onPointerCancel=${stop}
    onLostPointerCapture=${up}
    onContextMenu=${(event) => event.preventDefault()}
    onKeyDown=${onKey(press)}
    onKeyUp=${onKey(release)}
    onBlur=${up}
    onClick=${click}
  >
    <span class="hold-symbol"><${Icon} name=${iconOf(label)} /></span>
    <span class="hold-name">${labelText(label)}</span>
    <span class="hold-what">${whatText({ isHeld, hold, isRecording, isBlocked, saved: recording?.saved, frames })}</span>
    ${number < 10 && html`<kbd aria-hidden="true">${number}</kbd>`}
  </button>`;
}

function whatText({ isHeld, hold, isRecording, isBlocked, saved, frames }) {
  if (isHeld && !isRecording) return "Starting …";
  if (isHeld) return `${saved} · ${hold.latched ? "tap to stop" : "let go to stop"}`;
  if (isRecording) return `${saved} · by somebody else`;
  if (isBlocked) return "Somebody else records";
  return frames ? "Hold to add more" : "Hold to record";
}
