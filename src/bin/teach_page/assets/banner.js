// The banner over a picture that must not be trusted, and the invitation to use this device's camera.
import { OwnCameraButton } from "./own_camera.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";
import { useStore } from "./store.js";

export function Banner({ problem, camera }) {
  const offersCamera = useStore(({ page, connected, node, cameras, ownCamera }) => {
    const isSilent = cameras.find(({ name }) => name === camera)?.silent ?? true;
    return Boolean(connected && node?.present && page?.browser_camera && isSilent && ["off", "failed"].includes(ownCamera.state));
  });
  return html`<div class=${`banner ${problem.isCalm ? "is-calm" : ""}`} role=${problem.isCalm ? "status" : "alert"}>
    <${Icon} name=${problem.isCalm ? "camera" : "alert"} />
    <strong>${problem.title}</strong>
    <p>${problem.text}</p>
    ${offersCamera && html`<${OwnCameraButton} />`}
  </div>`;
}
