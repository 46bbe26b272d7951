// Images from outside: files and folders that are dropped on a label or chosen for it.
import { addFile } from "./api.js";
import { done } from "./edits.js";
import { count, labelText } from "./format.js";
import { useState } from "./html.js";
import { say } from "./messages.js";

const MAX_BYTES = 16 * 1024 * 1024;
// The node takes no more in a burst.
const MAX_BURST = 1000;
// Frames of this package, such as those of "Download all", are named `<time of the burst>_<number>` or `…_<number>_<camera>`.
const FRAME_NAME = /^(?<burst>\d{8}T\d{6}\.\d{3}Z)_\d+(?:_(?<camera>[A-Za-z0-9_-]{1,64})\.\w+$)?/;
let isRunning = false;

/** Adds files, each {file, directory}, to a label, one after the other. */
async function addFiles(files, label) {
  if (isRunning) return say("other files are being added; wait for their end", { isError: true });
  const bursts = burstsOf(files.filter(isVisible));
  const all = bursts.reduce((sum, { length }) => sum + length, 0);
  if (!all) return say("there was no file in it", { isError: true });
  isRunning = true;
  const change = `import-${Date.now()}-${Math.trunc(Math.random() * 1e6)}`;
  const problems = [];
  let tried = 0;
  try {
    for (const [i, burst] of bursts.entries()) {
      for (const file of burst) {
        if (tried % 10 === 0 && all > 1) say(`adding ${tried + 1} of ${all} to ${labelText(label)} …`);
        tried += 1;
        try {
          if (file.size > MAX_BYTES) throw new Error("it has more than 16 MB");
          await addFile(file, { label, burst: `${change}-${i}`, camera: partsOf(file).camera ?? "", change });
        } catch (error) {
          problems.push(`${file.name}: ${error.message}`);
        }
      }
    }
  } finally {
    isRunning = false;
  }
  const text = `${count(all - problems.length, "image")} added to ${labelText(label)}`;
  if (!problems.length) return done(text);
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : "";
  say(`${text}; ${problems.length} refused: ${problems[0]}${more}`, { isError: true });
}

const partsOf = ({ name }) => FRAME_NAME.exec(name)?.groups ?? {};

/** The files of one burst each: those of one directory and, by their names, of one burst. */
function burstsOf(files) {
  const groups = new Map();
  for (const { file, directory } of files) {
    const key = `${directory}/${partsOf(file).burst ?? ""}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(file);
  }
  return [...groups.values()].flatMap((group) => {
    group.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
    return Array.from({ length: Math.ceil(group.length / MAX_BURST) }, (_, i) => group.slice(i * MAX_BURST, (i + 1) * MAX_BURST));
  });
}

/** Opens the browser's choice of files, or of a folder. */
export function chooseFiles(label, { folder = false } = {}) {
  const input = Object.assign(document.createElement("input"), { type: "file", multiple: true, accept: "image/*", webkitdirectory: folder });
  const directoryOf = ({ name, webkitRelativePath: path }) => path.slice(0, -name.length);
  input.addEventListener("change", () => addFiles([...input.files].map((file) => ({ file, directory: directoryOf(file) })), label));
  input.click();
}

// The trash of a dataset is hidden, too.
const isVisible = ({ file, directory }) => !`${directory}/${file.name}`.split("/").some((part) => part.startsWith("."));

/** Properties of an element on which files can be dropped for a label, and whether some are above it. */
export function useDrop(label) {
  const [isOver, setIsOver] = useState(false);
  const hasFiles = ({ dataTransfer }) => dataTransfer.types.includes("Files");
  return [
    isOver,
    {
      onDragOver: (event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        event.dataTransfer.dropEffect = "copy";
        setIsOver(true);
      },
      onDragLeave: () => setIsOver(false),
      onDrop: async (event) => {
        event.preventDefault();
        setIsOver(false);
        // The list is only valid during the event: take the entries before waiting.
        const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
        try {
          addFiles((await Promise.all(entries.map(filesBelow))).flat(), label);
        } catch (error) {
          say(`the files cannot be read: ${error.message}`, { isError: true });
        }
      },
    },
  ];
}

async function filesBelow(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, directory: entry.fullPath.slice(0, -entry.name.length) }];
  }
  const reader = entry.createReader();
  const files = [];
  for (;;) {
    // Returns at most 100 entries at once, and none at the end.
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return files;
    for (const inner of entries) files.push(...(await filesBelow(inner)));
  }
}
