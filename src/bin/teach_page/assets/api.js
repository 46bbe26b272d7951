// Requests of the server. Each one either returns the answer, or shows in words why there is none and returns null.
import { say } from "./messages.js";

const UNREACHABLE = "the page's server does not answer; is it still running?";

async function answerOf(path, options) {
  let response;
  try {
    response = await fetch(new URL(`api/${path}`, document.baseURI), options);
  } catch {
    throw new Error(UNREACHABLE);
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok || answer == null) throw new Error(answer?.error ?? `the server answered ${response.status} ${response.statusText}`);
  if (answer.success === false) throw new Error(answer.message || "refused without a reason");
  return answer;
}

/** The response of a service, or an error with what the node or the server said. */
export function request(service, fields = {}) {
  return answerOf(service, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(fields),
  });
}

/** The same, where a failure is only to be shown. */
export async function call(service, fields) {
  try {
    return await request(service, fields);
  } catch (error) {
    say(error.message, { isError: true });
    return null;
  }
}

/** Adds an image file to the dataset; the fields are those of the service. */
export function addFile(file, fields) {
  const query = new URLSearchParams(fields);
  return answerOf(`frames?${query}`, {
    method: "POST",
    headers: { "Content-Type": file.type || "application/octet-stream" },
    body: file,
  });
}

export const imageAddress = (frame) => `api/image?${new URLSearchParams({ frame })}`;
export const reportAddress = (id) => `api/report?${new URLSearchParams({ model_id: id })}`;
export const thumbnailAddress = (thumbnail) => `data:image/jpeg;base64,${thumbnail}`;
