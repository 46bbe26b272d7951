import { App } from "./app.js";
import { connect } from "./connection.js";
import { html, render } from "./html.js";
import { listenToKeys } from "./keys.js";

// A file that misses its label must not replace the page.
for (const type of ["dragover", "drop"]) window.addEventListener(type, (event) => event.preventDefault());

listenToKeys();
connect();
document.getElementById("loading")?.remove();
render(html`<${App} />`, document.getElementById("app"));
