"""Age of a frame when its gesture is published, while idle and during a training: part of `make bench`.

Runs the node and a camera of drawn hands at 30 Hz with the harness of tests/ros.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "ros"))

from harness import IN_NAMESPACE, LABELS, World  # noqa: E402
from thumb_gesture.msg import TrainingStatus  # noqa: E402
from worlds import world_in  # noqa: E402

LOG = Path(__file__).parent.parent / "build" / "frame_age.log"
FRAMES_PER_LABEL = 76
RATE_HZ = 30
CAMERA_OPTIONS = ["--size", "640x480", "--rate", str(RATE_HZ)]


def milliseconds(duration) -> float:
    return duration.sec * 1e3 + duration.nanosec * 1e-6


def ages(gestures: list, seconds: float) -> dict[str, float]:
    """Percentiles of the frames' age, and the share of the camera's frames that were classified."""
    values = sorted(milliseconds(gesture.age) for gesture in gestures if gesture.reason != "stale")
    percentile = {f"p{n}": values[min(len(values) * n // 100, len(values) - 1)] for n in (50, 95, 99)}
    return percentile | {"max": values[-1], "frames_classified": len(values) / (seconds * RATE_HZ)}


def capture_and_train(world: World, keep_camera: bool = False) -> None:
    """Captures frames of every label and trains on them."""
    camera = None
    for label in LABELS:
        if camera:
            camera.end()
        answer = world.send("capture", label=label, frames=FRAMES_PER_LABEL)
        camera = world.start("photo_camera", *CAMERA_OPTIONS, "--show", f"odd:{label}", *IN_NAMESPACE)
        world.wait_for(answer.done, f"frames of {label}", camera, timeout=60.0)
    assert world.train().state == TrainingStatus.SUCCEEDED
    if camera and not keep_camera:
        camera.end()


def measure(idle_secs: float = 20.0) -> dict[str, dict[str, float]]:
    """The ages in milliseconds while idle and during a training."""
    LOG.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as directory, world_in(Path(directory), LOG) as world:
        world.start_node(image_reliability="reliable")
        capture_and_train(world, keep_camera=True)
        gestures = world.gestures()
        world.wait_for(lambda: gestures, "gestures")
        gestures.clear()
        world.spin_for(idle_secs)
        idle = ages(gestures, idle_secs)

        gestures.clear()
        # Another seed gives other augmented copies, so that all features are computed again.
        status = world.train(seed=2)
        assert status.state == TrainingStatus.SUCCEEDED, status.message
        seconds = milliseconds(status.elapsed) / 1e3
        return {"idle": idle, "training": ages(gestures, seconds) | {"training_secs": seconds}}


def report(rows: dict[str, dict[str, float]]) -> str:
    """The figures as a table."""
    lines = [f"{'frame age, ms':<20}{'p50':>8}{'p95':>8}{'p99':>8}{'max':>8}{'classified':>9}"]
    for name, row in rows.items():
        figures = "".join(f"{row[key]:>8.1f}" for key in ("p50", "p95", "p99", "max"))
        lines.append(f"{name:<20}{figures}{row['frames_classified']:>9.0%}")
    lines.append(f"training took {rows['training']['training_secs']:.1f} s with the camera at {RATE_HZ} Hz")
    return "\n".join(lines)


if __name__ == "__main__":
    print(report(measure()))
