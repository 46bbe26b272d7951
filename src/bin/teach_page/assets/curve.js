// The learning curves: mean loss on trained and on held-out frames after each epoch.
import { html } from "./html.js";

const WIDTH = 320;
const HEIGHT = 110;
const LEFT = 30;
const BOTTOM = 20;

export function Curve({ history, epochs = 0 }) {
  if (history.length < 2) return null;
  const values = history.flatMap(({ train_loss: a, validation_loss: b }) => [a, b]).filter((value) => value != null);
  const top = Math.max(...values, 0.1);
  const last = Math.max(...history.map(({ epoch }) => epoch), 1);
  const x = (epoch) => LEFT + ((WIDTH - LEFT - 4) * (epoch - 1)) / Math.max(last - 1, 1);
  const y = (loss) => 6 + (HEIGHT - BOTTOM - 6) * (1 - loss / top);
  const line = (points, key) =>
    points
      .filter((point) => point[key] != null)
      .map((point) => `${x(point.epoch).toFixed(1)},${y(point[key]).toFixed(1)}`)
      .join(" ");
  const folds = Map.groupBy ? [...Map.groupBy(history, ({ fold }) => fold).values()] : [history];
  const newest = folds.at(-1).at(-1);
  const told = `Loss after epoch ${newest.epoch}${epochs ? ` of at most ${epochs}` : ""}: ${newest.train_loss?.toFixed(2) ?? "unknown"} on trained frames, ${newest.validation_loss?.toFixed(2) ?? "unknown"} on held-out frames`;
  return html`<figure class="curve">
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${told}>
      <path class="axis" d=${`M${LEFT} 6V${HEIGHT - BOTTOM}H${WIDTH - 4}`} />
      <text x=${LEFT - 5} y="12" text-anchor="end">${top.toFixed(1)}</text>
      <text x=${LEFT - 5} y=${HEIGHT - BOTTOM} text-anchor="end">0</text>
      <text x=${WIDTH - 4} y=${HEIGHT - 5} text-anchor="end">epoch ${last}</text>
      ${folds.map(
        (points, i) => html`<g class=${i === folds.length - 1 ? "is-newest" : ""} key=${i}>
          <polyline class="train" points=${line(points, "train_loss")} />
          <polyline class="held-out" points=${line(points, "validation_loss")} />
        </g>`,
      )}
    </svg>
    <figcaption>Loss: <span class="key train">- - trained frames</span> <span class="key held-out">— held-out frames</span></figcaption>
  </figure>`;
}
