"""Playing a bag to the node gives the labels of `bag evaluate`: at any rate, looped, and after seeking."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy
import pytest
from builtin_interfaces.msg import Time
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from harness import CAMERA, LABELS, World, nanoseconds_of
from images import png_of, raw

# Deep enough to keep every frame.
RELIABLE = QoSProfile(depth=1000)
RATE_HZ = 30
PER_LABEL = 15
# The recognizer `auto` follows hands, so that its probabilities also depend on the frames before, of which a loaded node drops some.
SETTINGS = {"recognizer": "image", "threshold": 0.5, "margin": 0.1, "hysteresis": 0.0, "smoothing": 0.0}


class Player:
    """Publishes frames and /clock by the frames' stamps, as `ros2 bag play --clock` does."""

    def __init__(self, world: World, frames: dict[int, Image]) -> None:
        self.world = world
        self.frames = frames
        self.images = world.peer.create_publisher(Image, CAMERA, 10)
        self.clock = world.peer.create_publisher(Clock, "/clock", 10)
        world.wait_for(lambda: self.images.get_subscription_count() > 0, "the node subscribes to the images")
        world.wait_for(lambda: self.clock.get_subscription_count() > 0, "the node subscribes to /clock")

    def play(self, rate: float, begin: int = 0) -> None:
        """Plays from the frame with index `begin` to the end."""
        stamps = sorted(self.frames)[begin:]
        start = time.monotonic()
        for stamp in stamps:
            self.world.spin_for(max(0.0, start + (stamp - stamps[0]) * 1e-9 / rate - time.monotonic()))
            self.clock.publish(Clock(clock=Time(sec=stamp // 10**9, nanosec=stamp % 10**9)))
            self.images.publish(self.frames[stamp])


@pytest.fixture
def recording(world: World, drawn: dict[str, numpy.ndarray]) -> tuple[Path, dict[int, Image]]:
    """A bag of images that were not captured, each shifted further to the left, and the same images as messages by their stamps."""
    images: list[numpy.ndarray] = []
    for label in LABELS:
        directory = world.directory / "recorded_dataset" / label
        directory.mkdir(parents=True)
        for shift in range(PER_LABEL):
            images.append(numpy.roll(drawn[label], -4 * shift, axis=1))
            (directory / f"{shift:02}.png").write_bytes(png_of(images[-1]))
    bag = world.directory / "recording"
    program = world.start(
        "thumb_gesture", "bag", "export", str(bag), "--dataset", str(world.directory / "recorded_dataset")
    )
    assert program.wait(20.0) == 0, program.output()
    frames: dict[int, Image] = {}
    for number, pixels in enumerate(images):
        stamp = 1_700_000_000 * 10**9 + number * 10**9 // RATE_HZ
        image = raw(numpy.ascontiguousarray(pixels), "rgb8")
        image.header.stamp = Time(sec=stamp // 10**9, nanosec=stamp % 10**9)
        frames[stamp] = image
    return bag, frames


def evaluate(world: World, bag: Path) -> dict[str, Any]:
    """The report of `bag evaluate`."""
    settings = [word for name, value in SETTINGS.items() for word in (f"--{name}", str(value))]
    return world.run("thumb_gesture", "bag", "evaluate", str(bag), "--store", str(world.store), "--json", *settings)


def test_played_bag_gives_the_labels_of_bag_evaluate(
    trained_world: World, recording: tuple[Path, dict[int, Image]]
) -> None:
    bag, frames = recording
    report = evaluate(trained_world, bag)
    labels = report["labels"]
    expected = {
        frame["time_ns"]: (labels[frame["label"]], frame["reason"], frame["probabilities"])
        for frame in report["frames"]
    }
    assert set(expected) == set(frames), "the player has the frames of the bag"
    assert len({label for label, _, _ in expected.values()}) > 1, "the bag has frames of several predictions"
    node = trained_world.start_node(use_sim_time=True, image_reliability="reliable", **SETTINGS)
    trained_world.wait_for(lambda: trained_world.model().active, "the model is loaded", node)
    gestures = trained_world.gestures()
    player = Player(trained_world, frames)

    def check(what: str, at_least: int) -> None:
        trained_world.spin_for(0.3)
        seen = [gesture for gesture in gestures if gesture.reason != "stale"]
        gestures.clear()
        assert len(seen) >= at_least, f"{what}: {len(seen)} gestures"
        for gesture in seen:
            label, reason, probabilities = expected[nanoseconds_of(gesture.header.stamp)]
            assert (gesture.label, gesture.reason) == (label, reason), what
            assert list(gesture.probabilities) == pytest.approx(probabilities, abs=1e-6), what
        ages = [gesture.age.sec + gesture.age.nanosec * 1e-9 for gesture in seen]
        assert max(ages) < 1.0, what

    player.play(1.0)
    check("as recorded", len(frames) // 2)
    for rate in (0.5, 4.0):
        player.play(rate)
        check(f"at rate {rate}", 5)
    for repetition in range(2):
        player.play(2.0)
        check(f"looped, repetition {repetition}", 10)
    player.play(1.0, begin=len(frames) // 2)
    check("after seeking back", len(frames) // 5)
    player.play(1.0, begin=len(frames) - 12)
    check("after seeking ahead", 3)


def test_package_camera_plays_a_bag(world: World, recording: tuple[Path, dict[int, Image]]) -> None:
    bag, frames = recording
    images = world.listen(Image, CAMERA, RELIABLE)
    camera = world.start_camera("--bag", str(bag), "--rate", "100", "--encoding", "rgb8", size="")
    world.wait_for(lambda: len(images) > len(frames) + 10, "the camera starts over", camera)
    stamps = [nanoseconds_of(image.header.stamp) for image in images]
    assert stamps == sorted(stamps) and stamps[0] > max(frames), "stamped with the current time"
    assert {image.header.frame_id for image in images} == {f"camera_{label}" for label in LABELS}
    shown = [bytes(image.data) for image in images]
    order = [bytes(frames[stamp].data) for stamp in sorted(frames)]
    begin = order.index(shown[0])
    assert shown == [order[(begin + number) % len(order)] for number in range(len(shown))]
    assert camera.end() == 0
