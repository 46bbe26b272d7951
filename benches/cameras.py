"""CPU time per frame with one, two, four and eight cameras for one node and one model: part of `make bench`.

The cameras publish images of noise, 640x480 at 30 Hz, which takes little CPU time: cameras, node and this process share the machine.
"""

import statistics
import tempfile
from pathlib import Path

from node import LOG, watch
from programs import show_progress, train_on_noise
from worlds import world_in

NUMBERS = [1, 2, 4, 8]
RATE_HZ = 30
COLUMNS = {
    "cpu_ms_a_frame": "CPU ms per frame",
    "frames_a_second": "frames per s",
    "least_of_a_camera": "slowest camera",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "resident_mb": "resident MB",
}


def measure(python: str, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """The medians over the rounds, by number of cameras."""
    found: dict[int, list[dict[str, float]]] = {number: [] for number in NUMBERS}
    with tempfile.TemporaryDirectory() as directory:
        dataset, _ = train_on_noise(python, Path(directory))
        for now in range(1, rounds + 1):
            for number, figures in found.items():
                show_progress(f"{number} camera(s), round {now} of {rounds}")
                names = [f"camera{index}" for index in range(number)]
                with world_in(Path(directory), LOG) as world:
                    node = world.start_node(recognizer="image", cameras=f"[{', '.join(names)}]")
                    figures.append(watch(world, node, RATE_HZ, seconds, ["--photos", str(dataset), "--size", "640x480"], names))
        show_progress("")
    return {
        str(number): {key: statistics.median(each[key] for each in figures) for key in COLUMNS}
        for number, figures in found.items()
    }


def report(results: dict[str, dict[str, float]]) -> str:
    """The figures as a table; `ratio` is relative to the CPU time per frame with one camera."""
    lines = [f"{f'cameras at {RATE_HZ} Hz':<20}" + "".join(f"{title:>19}" for title in COLUMNS.values()) + f"{'ratio':>8}"]
    for number, figures in results.items():
        ratio = figures["cpu_ms_a_frame"] / results["1"]["cpu_ms_a_frame"]
        lines.append(f"{number:<20}" + "".join(f"{figures[key]:>19.2f}" for key in COLUMNS) + f"{ratio:>8.2f}")
    return "\n".join(lines)
