// The template helper and the hooks that all parts of the page use: Preact with htm, from vendor/.
//
// Text from outside always goes through `${value}` in a template, which makes a text node of it: markup in a label stays text.
import { h, render } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export { render };
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/hooks.js";

export const html = htm.bind(h);
