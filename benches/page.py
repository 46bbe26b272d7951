"""What the page costs, and how late its pictures are: part of `make bench`.

The node, a camera of drawn hands and teach_page run on this machine. Without a viewer, with one and with five, in turn: the CPU time of
the node per frame, the CPU time and the memory of the page, and the age of the pictures when they have arrived. The camera stamps a
picture before it publishes it. After that the age and the size of the pictures of one viewer over a slow network, with images that the page
encodes, and with JPEG as a camera sends it.
"""

import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

for tests in ["ros", "browser"]:
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / tests))

from harness import PHOTOS, REPOSITORY, Diagnostics, Program, World  # noqa: E402
from network import Network  # noqa: E402
from node import cpu_seconds  # noqa: E402
from programs import show_progress  # noqa: E402
from web import Site, Viewer, start_page  # noqa: E402
from worlds import world_in  # noqa: E402

LOG = REPOSITORY / "build" / "page.log"
RATE_HZ = 30
VIEWERS = [0, 1, 5]
SLOW_BITS_PER_SECOND = 5e6
SLOW_SECONDS = 30.0


class Watcher(threading.Thread):
    """A viewer that asks for pictures as fast as it gets them."""

    def __init__(self, site: Site, ages: list[float], cameras: list[str] | None = None) -> None:
        super().__init__(daemon=True)
        self.viewer = Viewer(site, cameras)
        self.ages = ages
        self.bytes: list[int] = []
        self.is_ending = False

    def run(self) -> None:
        with self.viewer as viewer:
            while not self.is_ending:
                viewer.update()
                if viewer.picture:
                    self.ages.append(time.time() - viewer.picture["stamp"])
                    self.bytes.append(len(viewer.jpeg))


def memory_mb(program: Program) -> dict[str, float]:
    """Resident memory of a process, and the part of it that is not shared with others, in MB."""
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    values = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith(("VmRSS", "RssAnon"))}
    return {name: int(value) / 1000 for name, value in values.items()}


@dataclass
class Robot:
    """A node that classifies, and its page."""

    node: Program
    page: Program
    site: Site
    diagnostics: Diagnostics


def start_robot(world: World, *camera_options: str, **node_parameters: object) -> Robot:
    """Starts a camera, a node and its page, and waits until they work."""
    node = world.start_node(image_reliability="reliable", **node_parameters)
    world.start_camera("--rate", str(RATE_HZ), *camera_options, size="640x480")
    diagnostics = world.diagnostics()
    world.wait_for(lambda: diagnostics.count("frames classified") > 0, "classified frames", node)
    page, site = start_page(world)
    return Robot(node, page, site, diagnostics)


def age_percentiles(ages: list[float]) -> dict[str, float]:
    """Of ages in seconds, in milliseconds."""
    return {
        "age_p50_ms": statistics.median(ages) * 1000,
        "age_p95_ms": sorted(ages)[len(ages) * 95 // 100] * 1000,
    }


def measure(rounds: int = 5, seconds: float = 6.0) -> dict:
    """The figures by the number of viewers, medians over the rounds."""
    rows: dict[int, list[dict[str, float]]] = {count: [] for count in VIEWERS}
    LOG.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as directory, world_in(Path(directory), LOG) as world:
        robot = start_robot(world)
        world.spin_for(2.0)
        idle = memory_mb(robot.page)

        def classified() -> int:
            robot.diagnostics.arrays.clear()
            world.wait_for(robot.diagnostics.status, "a report", robot.node)
            return robot.diagnostics.count("frames classified")

        for index in range(rounds):
            for count in VIEWERS:
                show_progress(f"page: round {index + 1} of {rounds}, {count} viewers")
                ages: list[float] = []
                watchers = [Watcher(robot.site, ages) for _ in range(count)]
                for watcher in watchers:
                    watcher.start()
                world.spin_for(1.5)
                ages.clear()
                frames, begin = classified(), time.monotonic()
                programs = (robot.node, robot.page)
                before = [cpu_seconds(program.process.pid) for program in programs]
                world.spin_for(seconds)
                frames, elapsed = classified() - frames, time.monotonic() - begin
                node_secs, page_secs = (
                    cpu_seconds(program.process.pid) - start for program, start in zip(programs, before, strict=True)
                )
                row = {"node_ms_per_frame": node_secs * 1000 / frames, "page_cpu": page_secs / elapsed}
                if ages:
                    received = list(ages)
                    row |= age_percentiles(received)
                    row["pictures_per_viewer"] = len(received) / elapsed / count
                rows[count].append(row)
                for watcher in watchers:
                    watcher.is_ending = True
                for watcher in watchers:
                    watcher.join(5)
                world.spin_for(1.0)
    show_progress("")
    medians = {
        str(count): {name: statistics.median(row[name] for row in all_rows if name in row) for name in all_rows[0]}
        for count, all_rows in rows.items()
    }
    return {"memory_mb": idle, "viewers": medians, "slow": {transport: measure_slow(transport) for transport in ["raw", "compressed"]}}


def measure_slow(transport: str) -> dict[str, float]:
    """The pictures of one viewer over a slow network."""
    show_progress(f"page: slow network, {transport} images")
    with tempfile.TemporaryDirectory() as directory, world_in(Path(directory), LOG) as world:
        photos = ["--photos", str(PHOTOS)] if PHOTOS.is_dir() else []
        compressed = ["--compressed"] if transport == "compressed" else []
        robot = start_robot(world, *photos, *compressed, image_transport=transport)
        with Network(f"http://127.0.0.1:{robot.site.port}/", SLOW_BITS_PER_SECOND) as network:
            ages: list[float] = []
            watcher = Watcher(Site(urlsplit(network.address).port), ages)
            watcher.start()
            world.wait_for(lambda: len(ages) > 10, "pictures", robot.page)
            ages.clear()
            watcher.bytes.clear()
            world.spin_for(SLOW_SECONDS)
            received, sizes = list(ages), list(watcher.bytes)
            watcher.is_ending = True
            watcher.join(5)
    show_progress("")
    third = len(received) // 3
    return age_percentiles(received) | {
        "growth_ms": (statistics.median(received[-third:]) - statistics.median(received[:third])) * 1000,
        "pictures": len(received) / SLOW_SECONDS,
        "kilobytes": statistics.median(sizes) / 1000,
    }


def report(results: dict) -> str:
    """The figures as a table."""
    header = ["viewers", "node, ms/frame", "page, cores", "age p50, ms", "age p95, ms", "pictures/s"]
    lines = ["  ".join(f"{name:>14}" for name in header)]
    for count, row in results["viewers"].items():
        names = ["node_ms_per_frame", "page_cpu", "age_p50_ms", "age_p95_ms", "pictures_per_viewer"]
        cells = [f"{row[name]:.3f}" if name in row else "" for name in names]
        lines.append("  ".join(f"{cell:>14}" for cell in [count, *cells]))
    for transport, row in results["slow"].items():
        lines.append(
            f"{SLOW_BITS_PER_SECOND / 1e6:.0f} Mbit/s, {transport}: {row['age_p50_ms']:.0f} ms old, 95 % at most {row['age_p95_ms']:.0f} ms, "
            f"{row['growth_ms']:+.0f} ms from the first to the last third of {SLOW_SECONDS:.0f} s; "
            f"{row['pictures']:.1f} pictures of {row['kilobytes']:.0f} kB per second"
        )
    memory = results["memory_mb"]
    lines.append(f"page without a viewer: {memory['VmRSS']:.0f} MB resident, {memory['RssAnon']:.0f} MB of it its own")
    return "\n".join(lines)
