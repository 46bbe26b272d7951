// The confusion matrix.
import { labelText } from "./format.js";
import { html } from "./html.js";

/** Rows are what was shown, columns what was recognized. */
export function Confusion({ labels, confusion, frames = "held-out frames" }) {
  return html`<div class="scroll">
    <table class="confusion">
      <caption>
        Shown (rows) and recognized (columns), in ${frames}
      </caption>
      <thead>
        <tr>
          <td></td>
          ${labels.map((label) => html`<th scope="col">${labelText(label)}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${confusion.map(
          (row, i) => html`<tr>
            <th scope="row">${labelText(labels[i])}</th>
            ${row.map((frames, j) => html`<td class=${i === j ? "is-right" : frames ? "is-wrong" : ""}>${frames}</td>`)}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** [shown, recognized] of the most frequent mistake, or null without one. */
export function mostConfused(labels, confusion) {
  let worst = null;
  confusion.forEach((row, i) =>
    row.forEach((frames, j) => {
      if (i !== j && frames > (worst?.frames ?? 0)) worst = { frames, pair: [labels[i], labels[j]] };
    }),
  );
  return worst?.pair ?? null;
}
