// The buttons of this device's camera.
import { start, stop, switchSide } from "./camera.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";
import { useStore } from "./store.js";

/** The large one, where there is no picture yet. */
export function OwnCameraButton() {
  const { problem } = useStore(({ ownCamera }) => ownCamera);
  return html`
    ${problem && html`<p class="camera-problem" role="alert">${problem}</p>`}
    <button type="button" class="primary large" onClick=${() => start()}>
      <${Icon} name="camera" />${problem ? "Try again" : "Use this device’s camera"}
    </button>
  `;
}

/** The small ones in the head of the page. */
export function OwnCameraTools() {
  const own = useStore(({ ownCamera }) => ownCamera);
  const isOffered = useStore(({ page }) => Boolean(page?.browser_camera));
  if (!isOffered || own.state === "starting") return null;
  if (own.state !== "on") return html`<button type="button" class="small" onClick=${() => start()}><${Icon} name="camera" /><span class="tool-text">Use this camera</span></button>`;
  return html`
    ${own.canSwitch && html`<button type="button" class="small" onClick=${switchSide}>Front/back</button>`}
    <button type="button" class="small" onClick=${stop}><${Icon} name="camera" /><span class="tool-text">Stop this camera</span></button>
  `;
}
