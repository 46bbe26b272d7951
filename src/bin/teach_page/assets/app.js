// The frame of the page: head, live picture, and one of four views.
import { Announcer } from "./announcer.js";
import { Dialogs } from "./dialog.js";
import { Gallery } from "./gallery.js";
import { html, useEffect } from "./html.js";
import { Icon } from "./icons.js";
import { Live } from "./live.js";
import { Messages } from "./messages.js";
import { Models } from "./models.js";
import { OwnCameraTools } from "./own_camera.js";
import { Settings } from "./settings.js";
import * as store from "./store.js";
import { Teach } from "./teach.js";

const VIEWS = {
  teach: ["Teach", Teach],
  frames: ["Frames", Gallery],
  models: ["Models", Models],
  settings: ["Settings", Settings],
};

const viewOf = () => (location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "teach");

export function App() {
  const view = store.useStore((state) => state.view);
  useEffect(() => {
    const follow = () => store.set({ view: viewOf() });
    follow();
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, []);
  const [title, View] = VIEWS[view];
  useEffect(() => {
    document.title = `${title} · thumb_gesture`;
  }, [view]);
  return html`
    <a class="skip" href="#main" onClick=${(event) => (event.preventDefault(), document.getElementById("main").focus())}>Skip to ${title}</a>
    <div class="app" data-view=${view}>
      <${Head} />
      <${Live} />
      <nav class="tabs" aria-label="Views">
        ${Object.entries(VIEWS).map(
          ([name, [text]]) => html`<a key=${name} href=${`#${name}`} aria-current=${name === view ? "page" : null}><${Icon} name=${name} /><span>${text}</span></a>`,
        )}
      </nav>
      <main id="main" class="view" tabindex="-1"><${View} /></main>
    </div>
    <${Messages} />
    <${Dialogs} />
    <${Announcer} />
  `;
}

function Head() {
  const node = store.useStore((state) => state.node);
  const viewers = store.useStore(({ page }) => page?.viewers ?? 1);
  return html`<header class="head">
    <span class="brand"><${Icon} name="thumbs_up" />thumb_gesture</span>
    <span class="node-name">${node?.name ?? ""}</span>
    ${viewers > 1 && html`<span class="viewers" title="People who have this page open"><b>${viewers}</b> here</span>`}
    <${CameraChoice} />
    <${OwnCameraTools} />
  </header>`;
}

function CameraChoice() {
  const cameras = store.useStore((state) => state.cameras);
  const shown = store.useStore((state) => (state.camera === "*" ? "*" : store.shownCameras(state)[0]));
  if (cameras.length < 2) return null;
  return html`<select aria-label="Camera" value=${shown} onChange=${({ target }) => store.set({ camera: target.value })}>
    ${cameras.map(({ name }) => html`<option value=${name}>${name}</option>`)}
    <option value="*">all cameras</option>
  </select>`;
}
