// Changes of the dataset, each of which can be taken back.
import { call, request } from "./api.js";
import { confirm, ask, choose } from "./dialog.js";
import { count, labelText } from "./format.js";
import { allFrames } from "./frames.js";
import { html } from "./html.js";
import { Icon, iconOf } from "./icons.js";
import { say } from "./messages.js";
import { sequenceOf } from "./pictures.js";
import * as store from "./store.js";

/** Takes back the last change of the dataset, whoever made it. */
export async function undo() {
  const answer = await call("undo_edit");
  if (answer) say(answer.message, { action: { text: "Redo", run: redo } });
}

async function redo() {
  const answer = await call("redo_edit");
  if (answer) done(answer.message);
}

/** Deletes permanently what was deleted before. */
export async function emptyTrash() {
  if (!(await confirm("Empty the trash?", "Deleted frames are then gone, and no earlier edit can be undone.", "Empty it"))) return;
  const answer = await call("clear_trash");
  if (answer) say(answer.message);
}

/** Says what was done, and offers to undo it. */
export const done = (text) => say(text, { action: { text: "Undo", run: undo } });

export async function moveFrames(frames, label) {
  const answer = await call("relabel_frames", { frames, label });
  if (answer) done(`${count(frames.length, "frame")} moved to ${labelText(label)}`);
  return answer != null;
}

export async function deleteFrames(frames) {
  const answer = await call("delete_frames", { frames });
  if (answer) done(`${count(frames.length, "frame")} deleted`);
  return answer != null;
}

/** What the node would refuse as a label, before it is asked. */
function labelProblem(name, others = []) {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$/.test(name)) return "Use 1 to 64 letters without accents, digits, _ and -; no spaces, and no - at the start.";
  if (others.includes(name)) return "There is such a label already.";
  return "";
}

const asName = (text) => text.trim().replaceAll(/\s+/g, "_");

/** Asks for a new label and resolves to it, or to null. */
export async function addLabel() {
  const labels = store.labelsOf(store.get());
  const name = await ask("Add a label", "The name of another gesture, or of something that the camera sees.", {
    action: "Add",
    problem: (text) => labelProblem(asName(text), labels),
  });
  if (!name) return null;
  store.set({ ownLabels: [...store.get().ownLabels, asName(name)] });
  return asName(name);
}

export async function renameLabel(label) {
  const labels = store.labelsOf(store.get());
  const name = await ask(`Rename ${labelText(label)}`, "All of its frames are moved. A model knows the new name after the next training.", {
    value: label,
    action: "Rename",
    problem: (text) => (asName(text) === label ? "That is its name." : labelProblem(asName(text), labels)),
  });
  if (!name) return;
  if (await onFrames(label, (frames) => moveFrames(frames, asName(name)))) {
    const { ownLabels } = store.get();
    store.set({ ownLabels: [...ownLabels.filter((each) => each !== label), asName(name)] });
  }
}

export async function removeLabel(label) {
  const frames = store.countOf(store.get().dataset, label);
  const text = frames ? `Its ${count(frames, "frame")} go to the trash of the dataset; Undo brings them back.` : "It has no frames.";
  if (!(await confirm(`Remove ${labelText(label)}?`, text, "Remove"))) return;
  if (await onFrames(label, deleteFrames)) store.set({ ownLabels: store.get().ownLabels.filter((each) => each !== label) });
}

async function onFrames(label, change) {
  if (!store.countOf(store.get().dataset, label)) return true;
  try {
    return await change((await allFrames(label)).map(({ frame }) => frame));
  } catch (error) {
    say(error.message, { isError: true });
    return false;
  }
}

/** "That was wrong": the last seconds, which the server has kept, go to the right label. */
export async function correct() {
  const camera = store.shownCameras(store.get())[0];
  const wrong = store.get().gestures[camera]?.label;
  // The seconds before this press, not those before the answer.
  const until = sequenceOf(camera);
  const choices = store.labelsOf(store.get()).map((label) => ({
    text: labelText(label),
    value: label,
    icon: html`<${Icon} name=${iconOf(label)} />`,
    kind: label === wrong ? "choice is-wrong" : "choice",
  }));
  const label = await choose("That was wrong", "What did you show? The frames of the last two seconds are added to it.", choices);
  if (!label) return;
  try {
    const { message, frames } = await request("correct", { label, camera, until });
    say(`${message}. Train again to use them`, { action: { text: "Undo", run: () => deleteFrames(frames) } });
  } catch (error) {
    say(error.message, { isError: true });
  }
}
