// Drawings for gestures and tabs. They repeat what the text beside them says, so that screen readers skip them.
import { html } from "./html.js";

const PATHS = {
  thumbs_up: "M3 11h3.5v9.5H3zM8.5 20V11L12 3.6c1.7 0 2.6 1.2 2.3 2.8L13.6 10h5.2c1.4 0 2.3 1.2 2 2.5l-1.5 6.2c-.3 1.1-1.1 1.8-2.2 1.8H10c-.8 0-1.5-.2-1.5-.5z",
  none: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zm0 2.5a6 6 0 0 1 3.6 1.2l-8.4 8.4A6 6 0 0 1 12 6zm0 12a6 6 0 0 1-3.6-1.2l8.4-8.4A6 6 0 0 1 12 18z",
  other: "M3.5 4.5h8l9 9-7 7-9-9v-7zm4 2.3a1.7 1.7 0 1 0 0 3.4 1.7 1.7 0 0 0 0-3.4z",
  unknown: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zm1.1 14.6h-2.3v-2.2h2.3zm1.7-6.3c-.9.8-1.6 1.3-1.6 2.6h-2.3c0-2.2 1.1-3 2-3.8.7-.6 1.1-1 1.1-1.7 0-.9-.7-1.5-1.8-1.5s-1.9.7-2 1.9l-2.3-.3C8.100 6.300 9.700 4.900 12.200 4.900c2.500 0 4.200 1.400 4.200 3.400 0 1.500-.8 2.300-1.600 3z",
  teach: "M12 2.500a2 2 0 0 1 2 2v6l4.800 1.500c1 .3 1.700 1.200 1.600 2.300l-.5 4.700c-.1 1.400-1.300 2.500-2.700 2.500h-5.400c-.8 0-1.600-.4-2.100-1L4.600 14.700c-.6-.7-.5-1.700.2-2.300.7-.6 1.700-.5 2.300.1L10 15V4.500a2 2 0 0 1 2-2z",
  frames: "M3.500 3.500h7.500V11H3.500zM13 3.500h7.500V11H13zM3.500 13H11v7.500H3.500zM13 13h7.500v7.500H13z",
  models: "M12 2.500l9.500 4.800L12 12 2.500 7.300zM4.700 10.700L12 14.400l7.300-3.700 2.200 1.200L12 16.700 2.500 11.900zM4.700 15.300L12 19l7.300-3.700 2.200 1.200-9.500 4.800-9.500-4.800z",
  settings: "M3 6h8.200a3 3 0 0 1 5.600 0H21v2h-4.200a3 3 0 0 1-5.600 0H3zM3 16h2.200a3 3 0 0 1 5.600 0H21v2H10.800a3 3 0 0 1-5.600 0H3z",
  camera: "M4 6.500h3.200L9 4h6l1.800 2.500H20c.8 0 1.500.7 1.500 1.500v10c0 .8-.7 1.500-1.500 1.500H4c-.8 0-1.500-.7-1.500-1.500V8c0-.8.7-1.500 1.500-1.500zm8 2.500a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
  alert: "M12 2.800L22.500 21h-21zm-1.200 6.700v6h2.400v-6zm0 7.300v2.200h2.400v-2.200z",
  undo: "M8.500 4L3 9.500 8.500 15v-4H14a3.500 3.500 0 0 1 0 7H8v2.500h6a6 6 0 0 0 0-12H8.500z",
};

export function Icon({ name }) {
  const isDown = name === "thumbs_down";
  return html`<svg class=${`icon ${isDown ? "is-turned" : ""}`} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path d=${PATHS[isDown ? "thumbs_up" : name] ?? PATHS.other} />
  </svg>`;
}

/** The name of the icon of a label; spellings such as ThumbsUp are the same gesture. */
export function iconOf(label) {
  const name = label.toLowerCase().replaceAll(/[_-]/g, "");
  return { thumbsup: "thumbs_up", thumbup: "thumbs_up", thumbsdown: "thumbs_down", thumbdown: "thumbs_down", none: "none" }[name] ?? "other";
}
