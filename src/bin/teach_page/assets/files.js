// Images from outside: files and folders that are dropped on a label or chosen for it.
import { addFile } from "./api.js";
import { count, labelText } from "./format.js";
import { useState } from "./html.js";
import { say } from "./messages.js";
import { undoRecording } from "./edits.js";

const MAX_BYTES = 16 * 1024 * 1024;
let isRunning = false;

/** Adds files to a label, one after the other, as one burst. */
export async function addFiles(files, label) {
  if (isRunning) return say("other files are being added; wait for their end", { isError: true });
  if (!files.length) return say("there was no file in it", { isError: true });
  isRunning = true;
  const burst = `import-${Date.now()}`;
  const problems = [];
  try {
    for (const [i, file] of files.entries()) {
      if (i % 10 === 0 && files.length > 1) say(`adding ${i + 1} of ${files.length} to ${labelText(label)} …`);
      try {
        if (file.size > MAX_BYTES) throw new Error("it has more than 16 MB");
        await addFile(file, label, burst);
      } catch (error) {
        problems.push(`${file.name}: ${error.message}`);
      }
    }
  } finally {
    isRunning = false;
  }
  const added = files.length - problems.length;
  const text = `${count(added, "image")} added to ${labelText(label)}`;
  if (!problems.length) return say(text);
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : "";
  say(`${text}; ${problems.length} refused: ${problems[0]}${more}`, { isError: true });
}

/** Opens the browser's choice of files, or of a folder. */
export function chooseFiles(label, { folder = false } = {}) {
  const input = Object.assign(document.createElement("input"), { type: "file", multiple: true, accept: "image/*", webkitdirectory: folder });
  input.addEventListener("change", () => addFiles([...input.files].filter(isVisible), label));
  input.click();
}

const isVisible = ({ name }) => !name.startsWith(".");

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
        const files = (await Promise.all(entries.map(filesBelow))).flat();
        addFiles(files.filter(isVisible), label);
      },
    },
  ];
}

async function filesBelow(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const files = [];
  for (;;) {
    // Returns at most 100 entries at once, and none at the end.
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return files;
    for (const inner of entries) files.push(...(await filesBelow(inner)));
  }
}
