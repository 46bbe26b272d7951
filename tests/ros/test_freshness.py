"""A gesture is only as fresh as its frame: frozen cameras, clocks that jump, several publishers on one topic."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from thumb_gesture.msg import ThumbGesture

from harness import IN_NAMESPACE, World
from images import raw

PERIOD = 1 / 30
HOLD_TIME = 0.5
STALE_TIMEOUT = 1.0
# Of the processes on a busy machine.
DELAY = 0.5
SECOND = 10**9


class LiveCamera:
    """Publishes images that always show the same and differ in one pixel. A test changes the stamps and images from some frame on."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.publisher = world.camera_publisher(reliable=True)
        self.image = raw(numpy.full((24, 32, 3), 128, numpy.uint8), "rgb8")
        self.last_stamp = Time()
        self.frames = 0
        self.change: Callable[[LiveCamera], bool | None] = lambda _: None
        world.peer.create_timer(PERIOD, self.publish)

    def now(self) -> int:
        """ROS time in nanoseconds."""
        return self.world.peer.get_clock().now().nanoseconds

    def stamp(self, nanoseconds: int) -> None:
        """Sets the stamp of the next message."""
        self.image.header.stamp = Time(sec=nanoseconds // SECOND, nanosec=nanoseconds % SECOND)

    def vary(self, step: int = 1) -> None:
        """Makes the next image differ from the last ones."""
        self.image.data[0] = (self.image.data[0] + step) % 256

    def publish(self) -> None:
        """Publishes the next frame, unless the change returns False."""
        self.last_stamp = self.image.header.stamp
        self.stamp(self.now())
        self.vary()
        if self.change(self) is not False:
            self.publisher.publish(self.image)
            self.frames += 1


def keep_stamp(camera: LiveCamera) -> None:
    """Repeats the last stamp."""
    camera.image.header.stamp = camera.last_stamp


def keep_pixels(camera: LiveCamera) -> None:
    """Repeats the last image."""
    camera.vary(-1)


def keep_eight_images(camera: LiveCamera) -> None:
    """Repeats the last eight images in turn, as a driver of which all buffers are frozen."""
    if camera.frames % 8 == 0:
        camera.vary(-8)


def keep_message(camera: LiveCamera) -> None:
    """Repeats the last message."""
    keep_stamp(camera)
    keep_pixels(camera)


# What the camera does from some frame on, and the warning.
FROZEN = {
    "no frames": (lambda camera: False, ""),
    "the same message": (keep_message, "no new image for"),
    "the same pixels": (keep_pixels, "no new image for"),
    "eight images in turn": (keep_eight_images, "no new image for"),
    "the same stamp": (keep_stamp, "the stamp has not changed"),
    "old stamps": (lambda camera: camera.stamp(camera.now() - 5 * SECOND), "behind ROS time; for a bag, set use_sim_time"),
    "stamps of an hour ahead": (lambda camera: camera.stamp(camera.now() + 3600 * SECOND), "ahead of ROS time"),
}


def start_classifier(world: World, **parameters: object) -> list[ThumbGesture]:
    """Starts a node that has a gesture for any image; returns its gestures."""
    defaults = {"threshold": 0.0, "margin": 0.0, "hold_time": HOLD_TIME, "stale_timeout": STALE_TIMEOUT}
    world.start_node(image_reliability="reliable", **(defaults | parameters))
    world.wait_for(lambda: world.model().active, "the model is loaded")
    return world.gestures()


@pytest.mark.parametrize("way", FROZEN)
def test_frozen_camera_is_stale_within_the_timeout_and_one_frame(trained_world: World, way: str) -> None:
    world = trained_world
    change, text = FROZEN[way]
    gestures, diagnostics = start_classifier(world), world.diagnostics()
    camera = LiveCamera(world)
    world.wait_for(lambda: gestures and gestures[-1].stable, "a stable gesture")

    camera.change = change
    frozen = time.monotonic()
    world.wait_for(lambda: gestures[-1].reason == "stale", "a stale gesture")
    assert time.monotonic() - frozen < STALE_TIMEOUT + PERIOD + DELAY
    gestures.clear()
    level = DiagnosticStatus.WARN if text else DiagnosticStatus.ERROR
    world.wait_for(lambda: diagnostics.level() == ord(level) and text in diagnostics.status().message, "the warning")
    world.spin_for(1.5 * STALE_TIMEOUT)
    assert gestures and all(gesture.reason == "stale" and not gesture.stable for gesture in gestures)
    assert world.programs[-1].output().count("stale frames on") == bool(text), "logged once"

    gestures.clear()
    camera.change = lambda _: None
    world.wait_for(lambda: gestures and gestures[-1].reason != "stale", "a gesture of a fresh frame")
    recovered = time.monotonic()
    world.wait_for(lambda: gestures[-1].stable, "a stable gesture")
    assert time.monotonic() - recovered > HOLD_TIME - 2 * PERIOD, "the hold begins anew"
    world.wait_for(lambda: diagnostics.level() == ord(DiagnosticStatus.OK), "diagnostics OK")


def test_frozen_pixels_are_believed_without_the_detection(trained_world: World) -> None:
    gestures = start_classifier(trained_world, detect_frozen_camera=False)
    LiveCamera(trained_world).change = keep_pixels
    trained_world.wait_for(lambda: gestures and gestures[-1].stable, "a stable gesture")
    gestures.clear()
    trained_world.spin_for(2 * STALE_TIMEOUT)
    assert gestures and all(gesture.stable for gesture in gestures)


def jump_ahead(camera: LiveCamera) -> None:
    """Stamps that are 0.9 s ahead from the third frame on."""
    camera.stamp(camera.now() + (9 * SECOND // 10 if camera.frames >= 2 else 0))


def miss_one_stamp(camera: LiveCamera) -> None:
    """A zero stamp among others."""
    if camera.frames == 2:
        camera.stamp(0)


def miss_first_stamp(camera: LiveCamera) -> None:
    """A zero stamp before others."""
    if camera.frames == 0:
        camera.stamp(0)


@pytest.mark.parametrize("change", [jump_ahead, miss_one_stamp, miss_first_stamp])
def test_wrong_stamp_does_not_make_a_gesture_stable_earlier(
    trained_world: World, change: Callable[[LiveCamera], None]
) -> None:
    gestures = start_classifier(trained_world)
    LiveCamera(trained_world).change = change
    trained_world.wait_for(lambda: gestures, "a gesture")
    first = time.monotonic()
    trained_world.wait_for(lambda: gestures[-1].stable, "a stable gesture")
    assert time.monotonic() - first > HOLD_TIME - 2 * PERIOD
    assert all(gesture.reason == "" for gesture in gestures)


def test_simulated_stamps_without_use_sim_time_are_stale_also_with_a_zero_among_them(trained_world: World) -> None:
    gestures = start_classifier(trained_world)
    camera = LiveCamera(trained_world)

    def simulate(camera: LiveCamera) -> None:
        camera.stamp(0 if camera.frames % 5 == 2 else 100 * SECOND + round(camera.frames * PERIOD * SECOND))

    camera.change = simulate
    trained_world.wait_for(lambda: len(gestures) > 30, "gestures")
    assert not any(gesture.stable for gesture in gestures)
    assert {gesture.reason for gesture in gestures} == {"stale"}


def test_stamps_without_fractions_of_a_second_are_a_warning(trained_world: World) -> None:
    gestures, diagnostics = start_classifier(trained_world, stale_timeout=2.0), trained_world.diagnostics()
    camera = LiveCamera(trained_world)
    camera.change = lambda camera: camera.stamp(camera.now() // SECOND * SECOND)
    trained_world.wait_for(lambda: "jump against the arrivals" in str(diagnostics.status()), "the warning")
    assert not any(gesture.stable for gesture in gestures)


def test_several_publishers_on_one_topic_are_named(trained_world: World) -> None:
    node = trained_world.start_node()
    diagnostics = trained_world.diagnostics()
    cameras = [
        trained_world.start("photo_camera", "--size", "64x48", "--show", label, *IN_NAMESPACE, "-r", f"__node:={name}")
        for name, label in [("one", "thumbs_up"), ("two", "thumbs_down")]
    ]
    names = "/jetbot/one and /jetbot/two publish images"
    trained_world.wait_for(lambda: names in str(diagnostics.status()), "the warning", node)
    assert diagnostics.level() == ord(DiagnosticStatus.WARN)
    assert node.output().count(names) == 1, "logged once"
    assert cameras[1].end() == 0
    trained_world.wait_for(lambda: diagnostics.level() == ord(DiagnosticStatus.OK), "diagnostics OK", node)


def test_second_node_for_the_same_camera_is_named(trained_world: World) -> None:
    node = trained_world.start_node()
    diagnostics = trained_world.diagnostics()
    camera = trained_world.start_camera()
    trained_world.wait_for(lambda: diagnostics.level() == ord(DiagnosticStatus.OK), "diagnostics OK", node, camera)
    second = trained_world.launch_node("-r", "__node:=second")
    names = "/jetbot/second and /jetbot/thumb_gesture offer gestures of the same camera"
    trained_world.wait_for(lambda: names in str(diagnostics.status()), "the warning", node, second)
    assert diagnostics.level() == ord(DiagnosticStatus.WARN)
    assert node.output().count(names) == 1, "logged once"
    assert second.end() == 0
    trained_world.wait_for(lambda: diagnostics.level() == ord(DiagnosticStatus.OK), "diagnostics OK", node)


def test_repeated_photo_of_the_package_camera_is_live(trained_world: World) -> None:
    """Raw and compressed: a directory with one photo for each label."""
    gestures = start_classifier(trained_world, image_transport="compressed")
    photos = trained_world.directory / "photos" / "thumbs_up"
    photos.mkdir(parents=True)
    photo = next((trained_world.dataset / "thumbs_up").iterdir())
    (photos / photo.name).write_bytes(photo.read_bytes())
    trained_world.start_camera("--photos", str(photos.parent), "--compressed")
    trained_world.wait_for(lambda: gestures and gestures[-1].stable, "a stable gesture")
    trained_world.spin_for(2 * STALE_TIMEOUT)
    assert all(gesture.reason == "" for gesture in gestures)
