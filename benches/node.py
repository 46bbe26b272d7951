"""Compares the node with a Python node of the same function, on the same frames, alternating: part of `make bench`.

A camera plays the same bag of drawn hands to each: 640x480 frames at 15 Hz, at 30 Hz, and faster than either can classify. Latency is
from the camera's stamp to the reception of the gesture in this process; CPU time and memory are those of the node. A third node,
empty_node.rs, publishes an empty gesture for each frame: the overhead of ROS.
"""

import os
import statistics
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "ros"))

from frame_age import capture_and_train, milliseconds  # noqa: E402
from harness import BEST_EFFORT, CAMERA, IN_NAMESPACE, Program, World, nanoseconds_of  # noqa: E402
from programs import show_progress  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from thumb_gesture.msg import ThumbGesture  # noqa: E402
from worlds import world_in  # noqa: E402

LOG = Path(__file__).parent.parent / "build" / "node_bench.log"
PEER = Path(__file__).with_name("peer_node.py")
# The last one is faster than any of them can classify.
RATES_HZ = [15, 30, 400]
OURS, PYTHON, EMPTY = "thumb_gesture", "Python", "empty node"
EMPTY_NODE = Path(os.environ["CARGO_TARGET_DIR"], "release", "examples", "empty_node")


def start(node_name: str, world: World, python: str, threads: int) -> Program:
    """Starts one of the nodes."""
    if node_name == OURS:
        return world.launch_node(recognizer="image", image_reliability="best_effort", threads=threads)
    if node_name == EMPTY:
        return world.start(str(EMPTY_NODE), *IN_NAMESPACE)
    return start_peer(world, python, threads)


def start_peer(world: World, python: str, threads: int) -> Program:
    """Starts the Python node with torch and rclpy from two environments: the wrapper `python` would hide rclpy."""
    libraries = os.environ["LD_LIBRARY_PATH"].split(":")
    without_torch = [directory for directory in libraries if "libtorch" not in directory]
    environment = {
        "PYTHONPATH": ":".join([os.environ.get("PYTHONPATH", ""), sysconfig.get_paths()["purelib"]]),
        "LD_LIBRARY_PATH": ":".join(without_torch),
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
    }
    interpreter = str(Path(python).with_name("python"))
    return world.start(interpreter, str(PEER), str(threads), *IN_NAMESPACE, **environment)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Resident memory of a process in megabytes."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1e3


def watch(
    world: World, node: Program, rate_hz: int, seconds: float, images: Sequence[str], names: Sequence[str] = ("",)
) -> dict[str, float]:
    """Figures of a node with one camera, or with several named ones."""
    arrivals: list[tuple[float, str, ThumbGesture]] = []
    cameras = []
    for name in names:
        topic = "/".join(filter(None, [world.peer.get_namespace(), name, "thumb_gesture"]))
        receive = partial(lambda name, gesture: arrivals.append((time.time(), name, gesture)), name)
        world.peer.create_subscription(ThumbGesture, topic, receive, 1000)
        cameras.append(world.start_camera("--rate", str(rate_hz), *images, name=name, size=""))

    def arrive_from_all() -> bool:
        return len(arrivals) > 10 and {name for _, name, _ in arrivals} == set(names)

    world.wait_for(arrive_from_all, "gestures", node, *cameras, timeout=60.0)
    arrivals.clear()
    cpu, start = cpu_seconds(node.process.pid), time.monotonic()
    world.spin_for(seconds)
    cpu, elapsed = cpu_seconds(node.process.pid) - cpu, time.monotonic() - start
    resident = resident_mb(node.process.pid)
    for camera in cameras:
        camera.end()
    classified = [arrival for arrival in arrivals if arrival[2].reason != "stale"]
    latencies = sorted(1e3 * arrived - nanoseconds_of(gesture.header.stamp) * 1e-6 for arrived, _, gesture in classified)
    own = [milliseconds(gesture.preprocess_time) + milliseconds(gesture.inference_time) for _, _, gesture in classified]
    counts = Counter({name: 0 for name in names} | Counter(name for _, name, _ in classified))
    return {
        "p50_ms": latencies[len(latencies) // 2],
        "p95_ms": latencies[len(latencies) * 95 // 100],
        "p99_ms": latencies[len(latencies) * 99 // 100],
        "cpu_ms_a_frame": 1e3 * cpu / len(classified),
        "frames_a_second": len(classified) / elapsed,
        "least_of_a_camera": min(counts.values()) / elapsed,
        "resident_mb": resident,
        "network_ms": statistics.median(own),
    }


def first_gesture_ms(node_name: str, world: World, python: str, threads: int, images: Sequence[str]) -> float:
    """Time from the start of a node to its first gesture, while a camera runs."""
    camera = world.start_camera("--rate", "30", *images, size="")
    frames = world.listen(Image, CAMERA, BEST_EFFORT)
    world.wait_for(lambda: frames, "frames", camera)
    gestures = world.gestures()
    start_time = time.monotonic()
    node = start(node_name, world, python, threads)
    world.wait_for(lambda: gestures, "a gesture", node, camera, timeout=60.0)
    elapsed = time.monotonic() - start_time
    camera.end()
    return 1e3 * elapsed


def measure(python: str, rounds: int, seconds: float, threads: int) -> dict:
    """The medians over the rounds, by rate and node."""
    found: dict[tuple[int, str], list[dict[str, float]]] = {}
    starts: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        with world_in(Path(directory), LOG) as world:
            world.start_node(image_reliability="reliable")
            capture_and_train(world)
            bag = Path(directory) / "hands"
            export = world.start("thumb_gesture", "bag", "export", str(bag), "--dataset", str(world.dataset))
            assert export.wait(60.0) == 0, export.output()
        for number in range(1, rounds + 1):
            for node_name in (OURS, PYTHON, EMPTY):
                show_progress(f"start of {node_name}, round {number} of {rounds}")
                with world_in(Path(directory), LOG) as world:
                    first_ms = first_gesture_ms(node_name, world, python, threads, ["--bag", str(bag)])
                    starts.setdefault(node_name, []).append(first_ms)
            for rate_hz in RATES_HZ:
                for node_name in (OURS, PYTHON, EMPTY):
                    show_progress(f"{node_name} at {rate_hz} Hz, round {number} of {rounds}")
                    with world_in(Path(directory), LOG) as world:
                        node = start(node_name, world, python, threads)
                        found.setdefault((rate_hz, node_name), []).append(watch(world, node, rate_hz, seconds, ["--bag", str(bag)]))
        show_progress("")
    return {
        str(rate_hz): {
            node_name: {
                key: statistics.median(each[key] for each in found[rate_hz, node_name]) for key in found[rate_hz, node_name][0]
            }
            | {"first_gesture_ms": statistics.median(starts[node_name])}
            for node_name in (OURS, PYTHON, EMPTY)
        }
        for rate_hz in RATES_HZ
    }


def report(rates: dict) -> str:
    """The figures as a table, with the ratios to the Python node."""
    columns = ["p50_ms", "p95_ms", "p99_ms", "cpu_ms_a_frame", "frames_a_second", "resident_mb"]
    lines = [f"{'node':<28}" + "".join(f"{column.replace('_', ' '):>17}" for column in columns)]
    for rate_hz, nodes in rates.items():
        for node_name, figures in nodes.items():
            lines.append(f"{f'{rate_hz} Hz, {node_name}':<28}" + "".join(f"{figures[column]:>17.2f}" for column in columns))
        ratios = [nodes[OURS][column] / nodes[PYTHON][column] for column in columns]
        lines.append(f"{'  ratio to Python':<28}" + "".join(f"{ratio:>17.3f}" for ratio in ratios))
        overhead = nodes[OURS]["p50_ms"] - nodes[OURS]["network_ms"]
        ratio = overhead / nodes[EMPTY]["p50_ms"]
        lines.append(f"  without preprocessing and network {overhead:.2f} ms, {ratio:.2f} of the empty node")
    first = {node_name: figures["first_gesture_ms"] for node_name, figures in nodes.items()}
    ours, python = f"{first[OURS]:.0f} ms", f"{first[PYTHON]:.0f} ms"
    lines.append(f"start to first gesture: {ours}, Python {python}, ratio {first[OURS] / first[PYTHON]:.3f}, empty node {first[EMPTY]:.0f} ms")
    return "\n".join(lines)


if __name__ == "__main__":
    LOG.unlink(missing_ok=True)
    rounds, seconds = (int(sys.argv[1]), float(sys.argv[2])) if len(sys.argv) > 2 else (1, 6.0)
    print(report(measure(os.environ["THUMB_GESTURE_TEST_PYTHON"], rounds, seconds, 2)))
