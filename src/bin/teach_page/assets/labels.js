// Each label twice: the button that records while it is held, and a shelf with what was recorded.
// On a phone the buttons stand at the bottom, where the thumb is; on a larger screen each one beside its shelf.
import { addLabel, removeLabel, renameLabel, undo } from "./edits.js";
import { chooseFiles, useDrop } from "./files.js";
import { count, labelText, sentence } from "./format.js";
import { Strip } from "./frames.js";
import { HoldButton } from "./hold.js";
import { html, useEffect, useRef } from "./html.js";
import { Icon } from "./icons.js";
import { uncountedOf, useStore } from "./store.js";

// As many buttons as fit on a phone in full size.
const FEW = 6;

export function Labels({ labels, counts }) {
  return html`<section class="labels" aria-label="Record">
    <ul class=${`holds ${labels.length > FEW ? "are-many" : ""}`} role="list">
      ${labels.map(
        (label, i) => html`<li key=${label} style=${{ "--row": i + 1 }}><${HoldButton} label=${label} number=${i + 1} frames=${counts[label].frames} /></li>`,
      )}
    </ul>
    <ul class="shelves" role="list">
      ${labels.map((label, i) => html`<${Shelf} key=${label} label=${label} row=${i + 1} ...${counts[label]} />`)}
      <li class="shelf is-new" style=${{ "--row": labels.length + 1 }}><button type="button" class="plain" onClick=${addLabel}>+ Add a label</button></li>
    </ul>
  </section>`;
}

function Shelf({ label, row, frames, bursts }) {
  const recording = useStore((state) => state.recording);
  const [isOver, drop] = useDrop(label);
  const isRecording = Boolean(recording?.active && recording.label === label);
  const wasLast = useStore(({ dataset }) => dataset?.undo_label === label) && !recording?.active && frames > 0;
  const now = frames + useStore((state) => uncountedOf(state, label));
  return html`<li class=${`shelf ${isOver ? "is-over" : ""}`} data-label=${label} style=${{ "--row": row }} ...${drop}>
    <div class="shelf-head">
      <span class="shelf-name">${labelText(label)}</span>
      <span class="shelf-count"><b>${now}</b> ${now === 1 ? "frame" : "frames"}</span>
      <span class="shelf-bursts muted">${bursts > 0 && !isRecording ? count(bursts, "recording") : ""}</span>
      ${wasLast && html`<button type="button" class="plain undo" title="Take back the frames that were added last" onClick=${undo}><${Icon} name="undo" />Undo</button>`}
      <${Menu} label=${label} hasFrames=${now > 0} />
    </div>
    <${Problem} label=${label} />
    ${now ? html`<${Strip} label=${label} frames=${now} />` : html`<p class="shelf-empty muted">Image files can be dropped here, too.</p>`}
  </li>`;
}

function Problem({ label }) {
  const text = useStore(({ recordProblem }) => (recordProblem?.label === label ? recordProblem.text : ""));
  const paragraph = useRef(null);
  // On a phone the shelf may be out of sight.
  useEffect(() => text && paragraph.current.scrollIntoView({ block: "nearest" }), [text]);
  return text && html`<p class="problem" role="alert" ref=${paragraph}>${sentence(text)}</p>`;
}

function Menu({ label, hasFrames }) {
  const details = useRef(null);
  const isOwn = useStore(({ ownLabels }) => ownLabels.includes(label));
  const close = () => {
    details.current.open = false;
  };
  const run = (action) => () => {
    close();
    action(label);
  };
  const leave = ({ currentTarget, relatedTarget }) => !currentTarget.contains(relatedTarget) && close();
  const escape = (event) => {
    if (event.key !== "Escape" || !details.current.open) return;
    close();
    details.current.querySelector("summary").focus();
  };
  const items = [
    ["Add images …", chooseFiles],
    ["Add a folder …", (name) => chooseFiles(name, { folder: true })],
  ];
  // Without frames, a label stays until another model is in use, unless it was added here.
  if (hasFrames || isOwn) items.push(["Rename …", renameLabel], ["Remove …", removeLabel]);
  return html`<details class="menu" ref=${details} onFocusOut=${leave} onKeyDown=${escape}>
    <summary aria-label=${`More for ${labelText(label)}`}>⋯</summary>
    <ul>
      ${items.map(
        ([text, action]) => html`<li key=${text}><button type="button" class="plain" onClick=${run(action)}>${text}</button></li>`,
      )}
    </ul>
  </details>`;
}
