// All training frames as a grid: select many, move, delete, take back.
//
// The grid is a list box with one tab stop: the arrow keys move in it, Space selects, Ctrl+A selects all, Delete deletes.
import { imageAddress, thumbnailAddress } from "./api.js";
import { showImage } from "./dialog.js";
import { addLabel, deleteFrames, emptyTrash, moveFrames, undo } from "./edits.js";
import { chooseFiles, useDrop } from "./files.js";
import { count, labelText } from "./format.js";
import { listThumbnails, PAGE, thumbnailsOf, useLoading } from "./frames.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Icon } from "./icons.js";
import { say } from "./messages.js";
import { countOf, labelsOf, useStore } from "./store.js";

// Pause after the frames were fetched.
const LOAD_MS = 1500;

export function Gallery() {
  const labels = useStore(labelsOf);
  const dataset = useStore((state) => state.dataset);
  const [label, setLabel] = useState("");
  const all = dataset?.frames.reduce((sum, frames) => sum + frames, 0) ?? 0;
  useEffect(() => {
    if (label && !labels.includes(label)) setLabel("");
  }, [labels.join()]);
  return html`<section class="gallery" aria-labelledby="gallery-title">
    <header class="view-head">
      <h1 id="gallery-title">Frames</h1>
      <button type="button" onClick=${undo}><${Icon} name="undo" />Undo</button>
      <a class="button" href="api/dataset.zip" download>Download all</a>
    </header>
    <div class="filters" role="group" aria-label="Labels">
      <${Filter} text="All" frames=${all} isOn=${!label} onChoose=${() => setLabel("")} />
      ${labels.map((name) => html`<${Filter} key=${name} label=${name} text=${labelText(name)} frames=${countOf(dataset, name)} isOn=${label === name} onChoose=${() => setLabel(name)} />`)}
    </div>
    ${label
      ? html`<p class="muted">Drop image files or a folder on a label, or <button type="button" class="link" onClick=${() => chooseFiles(label)}>choose files</button> or <button type="button" class="link" onClick=${() => chooseFiles(label, { folder: true })}>a folder</button> for ${labelText(label)}.</p>`
      : html`<p class="muted">Drop image files or a folder on a label to add them.</p>`}
    <${Grid} key=${label} label=${label} labels=${labels} isEmpty=${dataset && !(label ? countOf(dataset, label) : all)} stamp=${dataset?.stamp} />
    <p class="grid-foot"><button type="button" class="plain" onClick=${emptyTrash}>Empty the trash …</button></p>
  </section>`;
}

function Filter({ label, text, frames, isOn, onChoose }) {
  const [isOver, drop] = useDrop(label);
  return html`<button type="button" class=${`filter ${isOver ? "is-over" : ""}`} aria-pressed=${String(isOn)} onClick=${onChoose} ...${label ? drop : {}}>
    ${text} <b>${frames}</b>
  </button>`;
}

/** The frames of a label, page by page as they are scrolled to. */
function useFrames(label, isEmpty, stamp) {
  const [frames, setFrames] = useState([]);
  const [total, setTotal] = useState(null);
  const [hasFailed, setHasFailed] = useState(false);
  const wanted = useRef(PAGE);
  const load = async (isCurrent) => {
    // A frame that is added meanwhile moves another one to the next page, which has it again.
    const found = new Map();
    let [listed, all] = [0, isEmpty ? 0 : Infinity];
    try {
      while (listed < Math.min(wanted.current, all)) {
        const page = await listThumbnails(label, listed, PAGE, thumbnailsOf(frames));
        if (!isCurrent()) return;
        for (const each of page.frames) found.set(each.frame, each);
        listed += page.frames.length;
        all = page.frames.length ? page.total : listed;
      }
      setFrames([...found.values()]);
      setTotal(all);
      setHasFailed(false);
    } catch (error) {
      if (!isCurrent()) return;
      wanted.current = Math.max(PAGE, frames.length);
      setHasFailed(true);
      say(error.message, { isError: true });
    }
  };
  const reload = useLoading(load, [stamp, isEmpty], LOAD_MS);
  const more = () => {
    if (!hasFailed && (frames.length < wanted.current || frames.length >= total)) return;
    if (frames.length >= wanted.current) wanted.current += PAGE;
    reload();
  };
  return { frames, total, hasFailed, more, reload };
}

function Grid({ label, labels, isEmpty, stamp }) {
  const { frames, total, hasFailed, more, reload } = useFrames(label, isEmpty, stamp);
  const [selected, setSelected] = useState(new Set());
  const [current, setCurrent] = useState(0);
  const list = useRef(null);
  const end = useRef(null);
  const loadMore = useRef(more);
  loadMore.current = more;
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => entries.some(({ isIntersecting }) => isIntersecting) && loadMore.current(), { rootMargin: "600px" });
    observer.observe(end.current);
    return () => observer.disconnect();
  }, [frames.length]);
  // Frames that are gone are not selected any more.
  const chosen = frames.map(({ frame }) => frame).filter((frame) => selected.has(frame));
  const toggle = (index, { isRange = false } = {}) => {
    const next = new Set(chosen);
    const [from, to] = isRange ? [Math.min(current, index), Math.max(current, index)] : [index, index];
    const isOn = isRange || !next.has(frames[index].frame);
    for (const { frame } of frames.slice(from, to + 1)) isOn ? next.add(frame) : next.delete(frame);
    setSelected(next);
    setCurrent(index);
  };
  const look = ({ frame, label: shown }) => showImage(`${labelText(shown)}: ${frame.split("/").at(-1)}`, imageAddress(frame));
  const afterEdit = () => {
    setSelected(new Set());
    reload();
  };
  const remove = async () => chosen.length && (await deleteFrames(chosen)) && afterEdit();
  const goTo = (index) => {
    const next = Math.max(0, Math.min(frames.length - 1, index));
    setCurrent(next);
    list.current.children[next]?.focus();
  };
  const key = (event) => {
    const columns = getComputedStyle(list.current).gridTemplateColumns.split(" ").length;
    const actions = {
      ArrowRight: () => goTo(current + 1),
      ArrowLeft: () => goTo(current - 1),
      ArrowDown: () => goTo(current + columns),
      ArrowUp: () => goTo(current - columns),
      Home: () => goTo(0),
      End: () => goTo(frames.length - 1),
      " ": () => toggle(current),
      Enter: () => look(frames[current]),
      Delete: remove,
      Escape: () => setSelected(new Set()),
      a: event.ctrlKey || event.metaKey ? () => setSelected(new Set(frames.map(({ frame }) => frame))) : null,
    };
    if (!actions[event.key] || !frames.length) return;
    event.preventDefault();
    actions[event.key]();
  };
  return html`
    ${total === 0 && html`<p class="empty">No frames yet. Record some in “Teach”, or add images.</p>`}
    <ul class="grid" role="listbox" aria-multiselectable="true" aria-label="Training frames" ref=${list} onKeyDown=${key} hidden=${!frames.length}>
      ${frames.map(
        (frame, i) => html`<li
          key=${frame.frame}
          role="option"
          aria-selected=${String(selected.has(frame.frame))}
          aria-label=${`${labelText(frame.label)}, frame ${i + 1} of ${total}`}
          tabindex=${i === Math.min(current, frames.length - 1) ? 0 : -1}
          onClick=${({ shiftKey }) => toggle(i, { isRange: shiftKey })}
          onDblClick=${() => look(frame)}
        >
          ${frame.thumbnail ? html`<img src=${thumbnailAddress(frame.thumbnail)} alt="" loading="lazy" />` : frame.thumbnail === "" && html`<span class="no-image">not readable</span>`}
          ${!label && html`<span class="grid-label">${labelText(frame.label)}</span>`}
        </li>`,
      )}
    </ul>
    <div ref=${end} class="grid-end muted">${hasFailed ? html`<button type="button" onClick=${more}>Try again</button>` : frames.length < total ? "Loading more …" : ""}</div>
    ${chosen.length > 0 && html`<${Selection} chosen=${chosen} labels=${labels} onDelete=${remove} onMoved=${afterEdit} onClear=${() => setSelected(new Set())} onLook=${() => look(frames.find(({ frame }) => frame === chosen[0]))} />`}
  `;
}

function Selection({ chosen, labels, onDelete, onMoved, onClear, onLook }) {
  const move = async ({ target }) => {
    const to = target.value === "+" ? await addLabel() : target.value;
    target.value = "";
    if (to && (await moveFrames(chosen, to))) onMoved();
  };
  return html`<div class="selection" role="toolbar" aria-label="Selected frames">
    <b aria-live="polite">${count(chosen.length, "frame")}</b>
    <select aria-label="Move to another label" onChange=${move}>
      <option value="">Move to …</option>
      ${labels.map((label) => html`<option value=${label}>${labelText(label)}</option>`)}
      <option value="+">a new label …</option>
    </select>
    <button type="button" class="danger" onClick=${onDelete}>Delete</button>
    ${chosen.length === 1 && html`<button type="button" onClick=${onLook}>View</button>`}
    <button type="button" class="plain" onClick=${onClear}>Clear</button>
  </div>`;
}
