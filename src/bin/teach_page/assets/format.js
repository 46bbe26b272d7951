// Values as people read them.

export const labelText = (label) => label.replaceAll("_", " ");

/** A message of the node or the server as a sentence. */
export function sentence(text) {
  const trimmed = text.trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?]$/.test(trimmed) ? "" : ".");
}

export const percent = (value, digits = 0) => (value == null ? "–" : `${(100 * value).toFixed(digits)} %`);

export function duration(seconds) {
  if (!(seconds > 0)) return "";
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return `${Math.round(seconds / 60)} min`;
}

export function milliseconds(seconds) {
  return seconds == null ? "–" : seconds < 10 ? `${Math.round(1000 * seconds)} ms` : duration(seconds);
}

export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

const MOST_LISTED = 4;

/** Words in a sentence, the first few of many. */
export function list(words) {
  if (words.length > MOST_LISTED) return `${words.slice(0, MOST_LISTED - 1).join(", ")} and ${words.length - MOST_LISTED + 1} more`;
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

export function date(seconds) {
  if (!seconds) return "";
  return new Date(1000 * seconds).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
