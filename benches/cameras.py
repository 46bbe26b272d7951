"""CPU time per frame with one, two, four and eight cameras for one node and one model: part of `make bench`.

The cameras publish images of noise, 640x480 at 30 Hz, which takes little CPU time: cameras, node and this process share the machine.
Four cameras are measured with JPEGs of drawn hands as well, and with a viewer of the page who sees all of them.
"""

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from node import LOG, watch
from page import RATE_HZ, Watcher
from programs import show_progress, train_on_noise
from web import start_page
from worlds import world_in

from harness import World


@dataclass(frozen=True)
class Case:
    """What one node is measured with."""

    cameras: int
    transport: str = "raw"
    has_viewer: bool = False


CASES = {
    "1": Case(1),
    "2": Case(2),
    "4": Case(4),
    "8": Case(8),
    "4, JPEG": Case(4, "compressed"),
    "4, a viewer": Case(4, has_viewer=True),
}
COLUMNS = {
    "cpu_ms_a_frame": "CPU ms per frame",
    "frames_a_second": "frames per s",
    "least_of_a_camera": "slowest camera",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "resident_mb": "resident MB",
}


def measure(python: str, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """The medians over the rounds, by case."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as directory:
        dataset, _ = train_on_noise(python, Path(directory))
        for now in range(1, rounds + 1):
            for name, case in CASES.items():
                show_progress(f"cameras: {name}, round {now} of {rounds}")
                cameras = [f"camera{index}" for index in range(case.cameras)]
                # Noise would make JPEGs that no camera sends.
                images = ["--compressed"] if case.transport == "compressed" else ["--photos", str(dataset)]
                with world_in(Path(directory), LOG) as world:
                    node = world.start_node(recognizer="image", cameras=f"[{', '.join(cameras)}]", image_transport=case.transport)
                    with viewer_of(world, cameras if case.has_viewer else []):
                        found[name].append(watch(world, node, RATE_HZ, seconds, [*images, "--size", "640x480"], cameras))
        show_progress("")
    return {
        name: {key: statistics.median(each[key] for each in figures) for key in COLUMNS} for name, figures in found.items()
    }


@contextmanager
def viewer_of(world: World, cameras: list[str]) -> Iterator[None]:
    """Serves the page to a viewer who sees these cameras; does nothing without cameras."""
    if not cameras:
        yield
        return
    watcher = Watcher(start_page(world)[1], [], cameras)
    watcher.start()
    try:
        yield
    finally:
        watcher.is_ending = True
        watcher.join(5)


def report(results: dict[str, dict[str, float]]) -> str:
    """The figures as a table; `ratio` is relative to the CPU time per frame with one camera."""
    lines = [f"{f'cameras at {RATE_HZ} Hz':<20}" + "".join(f"{title:>19}" for title in COLUMNS.values()) + f"{'ratio':>8}"]
    for name, figures in results.items():
        ratio = figures["cpu_ms_a_frame"] / results["1"]["cpu_ms_a_frame"]
        lines.append(f"{name:<20}" + "".join(f"{figures[key]:>19.2f}" for key in COLUMNS) + f"{ratio:>8.2f}")
    return "\n".join(lines)
