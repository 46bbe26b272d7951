"""What a frame costs with one, two, four and eight cameras before one node, one model: part of `make bench`.

The cameras publish images of noise, 640x480 at 30 Hz, which costs them little: with eight of them the cameras, the node and this
peer of theirs share the machine.
"""

import statistics
import tempfile
from pathlib import Path

from node import watch, world_in
from programs import show_progress, train_on_noise

NUMBERS = [1, 2, 4, 8]
RATE_HZ = 30
COLUMNS = {
    "cpu_ms_a_frame": "CPU ms a frame",
    "frames_a_second": "frames a second",
    "least_of_a_camera": "least of a camera",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "resident_mb": "resident MB",
}


def measure(python: str, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """By number of cameras, the medians over the rounds."""
    found: dict[int, list[dict[str, float]]] = {number: [] for number in NUMBERS}
    with tempfile.TemporaryDirectory() as directory:
        dataset, _ = train_on_noise(python, Path(directory))
        for now in range(1, rounds + 1):
            for number, figures in found.items():
                show_progress(f"{number} camera(s), round {now} of {rounds}")
                names = [f"camera{index}" for index in range(number)]
                with world_in(Path(directory)) as world:
                    node = world.start_node(cameras=f"[{', '.join(names)}]")
                    figures.append(watch(world, node, RATE_HZ, seconds, ["--photos", str(dataset), "--size", "640x480"], names))
        show_progress("")
    return {
        str(number): {key: statistics.median(each[key] for each in figures) for key in COLUMNS}
        for number, figures in found.items()
    }


def report(results: dict[str, dict[str, float]]) -> str:
    """The figures as a table; a share is of what a frame costs with one camera."""
    lines = [f"{f'cameras at {RATE_HZ} Hz':<20}" + "".join(f"{title:>19}" for title in COLUMNS.values()) + f"{'share':>8}"]
    for number, figures in results.items():
        share = figures["cpu_ms_a_frame"] / results["1"]["cpu_ms_a_frame"]
        lines.append(f"{number:<20}" + "".join(f"{figures[key]:>19.2f}" for key in COLUMNS) + f"{share:>8.2f}")
    return "\n".join(lines)
