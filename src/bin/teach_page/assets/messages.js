// Short messages at the edge of the page, which a screen reader reads too.
import { sentence } from "./format.js";
import { html, useEffect, useState } from "./html.js";
import { Icon } from "./icons.js";

const SHOWN_MS = 6000;
let listener = () => {};
let last = 0;

/** Shows a message for some seconds; `action` is {text, run} for a button in it. */
export function say(text, { isError = false, action = null } = {}) {
  listener({ id: ++last, text, isError, action });
}

export function Messages() {
  const [message, setMessage] = useState(null);
  useEffect(() => {
    listener = setMessage;
  }, []);
  useEffect(() => {
    if (!message) return;
    const timer = setTimeout(() => setMessage(null), message.isError ? 2 * SHOWN_MS : SHOWN_MS);
    return () => clearTimeout(timer);
  }, [message?.id]);
  const run = () => {
    setMessage(null);
    message.action.run();
  };
  return html`
    <div class="messages">
      <div role="status" aria-live="polite">
        ${message &&
        html`<div class=${`message ${message.isError ? "is-error" : ""}`} key=${message.id}>
          ${message.isError && html`<${Icon} name="alert" />`}
          <span>${message.isError && html`<span class="only-heard">Error: </span>`}${sentence(message.text)}</span>
          ${message.action && html`<button type="button" class="plain" onClick=${run}>${message.action.text}</button>`}
          <button type="button" class="plain" aria-label="Close this message" onClick=${() => setMessage(null)}>✕</button>
        </div>`}
      </div>
    </div>
  `;
}
