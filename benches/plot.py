"""Draws the figures of the benchmark as bar charts in an SVG file: part of `make bench`."""

from html import escape
from pathlib import Path

WIDTH, LABEL_WIDTH, BAR_HEIGHT, GAP = 900, 330, 22, 8
OURS, THEIRS = "#2a78d6", "#898781"


def charts(results: dict) -> list[tuple[str, list[tuple[str, float]]]]:
    """The charts for which there are results: title with unit, and name and value of each bar."""
    found = []
    for threads, variants in results.get("forward", {}).items():
        times = {name: time for name, time in variants.items() if "," in name}
        found.append((f"network, {threads} thread(s), ms", sorted(times.items(), key=lambda variant: variant[1])))
    nodes = results.get("node", {})
    for key, title in [("p50_ms", "node, median latency, ms"), ("cpu_ms_a_frame", "node, CPU ms per frame")]:
        rows = [(f"{who}, {rate} Hz", figures[key]) for rate in ("15", "30") for who, figures in nodes.get(rate, {}).items()]
        found.append((title, rows))
    rows = [(f"thumb_gesture, cameras: {name}", figures["cpu_ms_a_frame"]) for name, figures in results.get("cameras", {}).items()]
    found.append(("one node, several cameras at 30 Hz, CPU ms per frame", rows))
    if "training" in results:
        variants = results["training"]["thumb_gesture"].items()
        rows = [(f"thumb_gesture, {name}", variant["seconds"]) for name, variant in variants]
        rows.append(("Python, the notebook's loop", results["training"]["notebook"]["seconds"]))
        found.append(("30 epochs of last_layer on 228 frames, s", rows))
    if "recognizers" in results.get("people", {}):
        scores = results["people"]["recognizers"].items()
        rows = [(name, 100 * figures["correct"]["count"] / figures["correct"]["of"]) for name, figures in scores]
        found.append((f"{results['people']['photos']} photos of other people, % correct", rows))
    return [(title, rows) for title, rows in found if rows]


def write(results: dict, path: Path) -> None:
    """Writes the charts one below the other; bars of thumb_gesture have a different color."""
    y, parts = 10, []
    for title, rows in charts(results):
        y += 24
        parts.append(f'<text x="10" y="{y}" font-weight="bold">{escape(title)}</text>')
        y += GAP
        longest = max(value for _, value in rows)
        for name, value in rows:
            length = (WIDTH - LABEL_WIDTH - 90) * value / longest
            color = OURS if name.startswith("thumb_gesture") else THEIRS
            middle = y + BAR_HEIGHT * 0.7
            parts.append(f'<text x="{LABEL_WIDTH - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>')
            parts.append(f'<rect x="{LABEL_WIDTH}" y="{y}" width="{length:.1f}" height="{BAR_HEIGHT}" fill="{color}"/>')
            parts.append(f'<text x="{LABEL_WIDTH + length + 6:.1f}" y="{middle}">{value:.3g}</text>')
            y += BAR_HEIGHT + GAP
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 10}" font-family="sans-serif" font-size="14">'
    path.write_text("\n".join([svg, f'<rect width="{WIDTH}" height="{y + 10}" fill="white"/>', *parts, "</svg>", ""]))
