"""Gestures for the images of a camera: encodings, invalid images, stale and stable gestures, accuracy, overlay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CompressedImage, Image
from thumb_gesture.msg import ThumbGesture

from conftest import TrainedModel, copy
from harness import (
    BEST_EFFORT,
    CAMERA,
    LABELS,
    NODE,
    Diagnostics,
    Program,
    World,
    free_domain,
    key_of,
    nanoseconds_of,
    truth_of,
)
from images import compressed, png_of, raw

NUMBERS = {
    "none": ThumbGesture.NONE,
    "thumbs_up": ThumbGesture.THUMBS_UP,
    "thumbs_down": ThumbGesture.THUMBS_DOWN,
}


@dataclass
class ClassifierNode:
    """A node with the trained model, a publisher of images for it, and its gestures and diagnostics."""

    world: World
    node: Program
    publisher: Any
    gestures: list[ThumbGesture]
    diagnostics: Diagnostics

    def gesture_of(self, image: Image | CompressedImage) -> ThumbGesture:
        """The gesture for exactly this image."""
        return self.world.gesture_of(self.publisher, image, self.gestures, is_live=False)

    def assert_rejects(self, image: Image | CompressedImage) -> None:
        """Asserts that the node counts the image as bad, keeps running, and publishes no gesture for it."""
        before = self.diagnostics.count("bad frames")
        self.gestures.clear()

        def publish() -> None:
            image.header.stamp = self.world.peer.get_clock().now().to_msg()
            self.publisher.publish(image)

        self.world.publish_until(
            lambda: self.diagnostics.count("bad frames") > before, "the bad frame is counted", publish, 0.2, self.node
        )
        assert all(gesture.reason == "stale" for gesture in self.gestures)


def start_classifier(world: World, trained: TrainedModel, kind: type, **parameters: object) -> ClassifierNode:
    """Starts a node without smoothing, for images that do not change, and waits until it has loaded the trained model.

    The recognizer `auto` follows hands, so that its probabilities also depend on the images before.
    """
    copy(trained.store, world.store)
    node = world.start_node(recognizer="image", smoothing=0.0, detect_frozen_camera=False, **parameters)
    world.wait_for(lambda: world.model().model_id == trained.model_id, "the model is loaded")
    return ClassifierNode(world, node, world.camera_publisher(kind), world.gestures(), world.diagnostics())


@pytest.fixture(scope="module")
def classifier(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClassifierNode]:
    """Shared by all tests of raw images; they do not change its state."""
    with free_domain() as domain, World(tmp_path_factory.mktemp("raw"), domain) as world:
        yield start_classifier(world, trained, Image)


@pytest.fixture(scope="module")
def compressed_classifier(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClassifierNode]:
    """Shared by all tests of compressed images."""
    with free_domain() as domain, World(tmp_path_factory.mktemp("compressed"), domain) as world:
        yield start_classifier(world, trained, CompressedImage, image_transport="compressed")


@pytest.mark.parametrize("label", LABELS)
def test_gesture_has_the_header_of_the_image(
    classifier: ClassifierNode, trained: TrainedModel, drawn: dict[str, numpy.ndarray], label: str
) -> None:
    image = raw(drawn[label], "rgb8", frame_id=f"left/camera of {label}")
    gesture = classifier.gesture_of(image)
    assert gesture.header.frame_id == f"left/camera of {label}"
    assert gesture.model_id == trained.model_id
    assert list(gesture.labels) == LABELS
    assert sum(gesture.probabilities) == pytest.approx(1.0, abs=1e-4)
    assert gesture.label == gesture.labels[int(numpy.argmax(gesture.probabilities))]
    # Below threshold or margin, the gesture is UNKNOWN with the reason.
    assert gesture.gesture == (ThumbGesture.UNKNOWN if gesture.reason else NUMBERS[gesture.label])
    assert gesture.reason in ("", "threshold", "margin")
    assert gesture.backend.startswith("onnx/")
    assert gesture.inference_time.sec == 0 and gesture.inference_time.nanosec > 0
    assert 0.0 < gesture.age.sec + gesture.age.nanosec * 1e-9 < 2.0


def test_frame_id_that_would_reach_a_terminal_is_escaped_and_cut_off(trained_world: World) -> None:
    trained_world.start_node(image_reliability="reliable")
    gestures = trained_world.gestures()
    image = raw(numpy.zeros((48, 64, 3), numpy.uint8), "rgb8", frame_id="\x1b[2Jcamera" + "x" * 10_000)
    trained_world.camera_publisher(reliable=True).publish(image)
    trained_world.wait_for(lambda: gestures, "a gesture")
    assert gestures[0].header.frame_id.startswith("\\u001b[2Jcamera")
    assert len(gestures[0].header.frame_id) < 300


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8"])
@pytest.mark.parametrize("padding", [0, 13])
def test_encodings_of_the_same_pixels_give_identical_probabilities(
    classifier: ClassifierNode, drawn: dict[str, numpy.ndarray], encoding: str, padding: int
) -> None:
    pixels = drawn["thumbs_up"]
    expected = classifier.gesture_of(raw(pixels, "rgb8")).probabilities
    found = classifier.gesture_of(raw(pixels, encoding, padding)).probabilities
    assert list(found) == list(expected)


@pytest.mark.parametrize("padding", [0, 13])
def test_mono8_equals_gray_rgb8(
    classifier: ClassifierNode, drawn: dict[str, numpy.ndarray], padding: int
) -> None:
    gray = numpy.repeat(drawn["thumbs_up"][:, :, :1], 3, axis=2)
    expected = classifier.gesture_of(raw(gray, "rgb8")).probabilities
    found = classifier.gesture_of(raw(gray, "mono8", padding)).probabilities
    assert list(found) == list(expected)


def test_swapped_red_and_blue_change_the_probabilities(classifier: ClassifierNode, drawn: dict[str, numpy.ndarray]) -> None:
    """Otherwise the comparisons of encodings could not detect a wrong order of channels."""
    pixels = drawn["thumbs_up"]
    found = [classifier.gesture_of(raw(order, "rgb8")).probabilities for order in (pixels, pixels[:, :, ::-1])]
    assert list(found[0]) != list(found[1])


def bad_frames() -> dict[str, Image]:
    """Invalid image messages."""
    pixels = numpy.zeros((24, 32, 3), numpy.uint8)
    frames = {name: raw(pixels, "rgb8") for name in ["float", "small step", "short data", "empty", "huge"]}
    frames["float"].encoding = "32FC1"
    frames["small step"].step = 95
    frames["short data"].data = frames["short data"].data[:-1]
    frames["empty"].width = frames["empty"].height = frames["empty"].step = 0
    frames["huge"].width = frames["huge"].height = 20_000
    frames["huge"].step = 60_000
    return frames


@pytest.mark.parametrize("name", bad_frames())
def test_bad_frame_is_counted_and_the_next_one_is_classified(
    classifier: ClassifierNode, drawn: dict[str, numpy.ndarray], name: str
) -> None:
    classifier.assert_rejects(bad_frames()[name])
    assert classifier.gesture_of(raw(drawn["thumbs_up"], "rgb8")).label in LABELS
    assert "bad frame" in classifier.node.output()


@pytest.mark.parametrize("format", ["png", "bgr8; png compressed bgr8", ""])
def test_png_gives_the_probabilities_of_the_raw_image(
    classifier: ClassifierNode, compressed_classifier: ClassifierNode, drawn: dict[str, numpy.ndarray], format: str
) -> None:
    pixels = drawn["thumbs_down"]
    expected = classifier.gesture_of(raw(pixels, "rgb8")).probabilities
    found = compressed_classifier.gesture_of(compressed(png_of(pixels), format)).probabilities
    assert list(found) == list(expected)


@pytest.mark.parametrize("format", ["jpeg", "rgb8; jpeg compressed bgr8"])
def test_jpeg_is_classified(compressed_classifier: ClassifierNode, trained: TrainedModel, format: str) -> None:
    """With training images, nearly all of which the model classifies correctly."""
    seen = []
    for label in LABELS:
        for file in sorted((trained.dataset / label).glob("*.jpg"))[:4]:
            gesture = compressed_classifier.gesture_of(compressed(file.read_bytes(), format, f"camera_{label}"))
            seen.append(gesture.label == label == truth_of(gesture))
    assert sum(seen) >= len(seen) - 1


@pytest.mark.parametrize("name", ["noise", "half a file", "depth"])
def test_bad_compressed_frame_is_counted_and_the_next_one_is_classified(
    compressed_classifier: ClassifierNode, drawn: dict[str, numpy.ndarray], name: str
) -> None:
    png = png_of(drawn["thumbs_up"])
    frames = {
        "noise": compressed(b"\x17" * 1000, "jpeg"),
        "half a file": compressed(png[: len(png) // 2], "png"),
        "depth": compressed(png, "32FC1; compressedDepth png"),
    }
    compressed_classifier.assert_rejects(frames[name])
    assert compressed_classifier.gesture_of(compressed(png, "png")).label in LABELS


def test_package_camera_publishes_compressed_images(trained_world: World) -> None:
    trained_world.start_node(image_transport="compressed")
    trained_world.start_camera("--compressed")
    gestures = trained_world.gestures()
    trained_world.wait_for(lambda: len(gestures) >= 10, "gestures for compressed frames")
    assert {truth_of(gesture) for gesture in gestures} <= set(LABELS)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8"])
def test_package_camera_publishes_every_encoding(classifier: ClassifierNode, encoding: str) -> None:
    """The message has the requested encoding, and the node classifies it."""
    since = nanoseconds_of(classifier.world.peer.get_clock().now().to_msg())
    frames = classifier.world.listen(Image, CAMERA, BEST_EFFORT)
    camera = classifier.world.start_camera("--encoding", encoding, "--rate", "20")

    def of_this_camera() -> list[ThumbGesture]:
        return [gesture for gesture in classifier.gestures if nanoseconds_of(gesture.header.stamp) > since]

    classifier.world.wait_for(
        lambda: frames and len(of_this_camera()) >= 5, f"gestures for frames in {encoding}", camera
    )
    assert {frame.encoding for frame in frames} == {encoding}
    assert {truth_of(gesture) for gesture in of_this_camera()} <= set(LABELS)
    assert camera.end() == 0


def test_gesture_becomes_stale_when_the_camera_stops_and_recovers(trained_world: World) -> None:
    trained_world.start_node()
    camera = trained_world.start_camera("--show", "thumbs_up")
    gestures, diagnostics = trained_world.gestures(), trained_world.diagnostics()
    trained_world.wait_for(lambda: len(gestures) >= 10, "gestures")
    trained_world.wait_for(lambda: ord(DiagnosticStatus.OK) == diagnostics.level(), "diagnostics OK")

    assert camera.end() == 0
    trained_world.wait_for(lambda: gestures[-1].reason == "stale", "a stale gesture", timeout=3.0)
    stale = gestures[-1]
    assert stale.gesture == ThumbGesture.UNKNOWN and not stale.stable
    classified = [gesture for gesture in gestures if gesture.reason != "stale"]
    assert key_of(stale.header) == key_of(classified[-1].header)
    trained_world.wait_for(lambda: ord(DiagnosticStatus.ERROR) == diagnostics.level(), "diagnostics ERROR")
    assert "stalled" in diagnostics.status().message

    gestures.clear()
    trained_world.start_camera("--show", "thumbs_up")
    trained_world.wait_for(lambda: gestures and gestures[-1].reason != "stale", "gestures again")
    trained_world.wait_for(lambda: ord(DiagnosticStatus.OK) == diagnostics.level(), "diagnostics OK again")


def test_gesture_becomes_stable_after_hold_time(trained_world: World) -> None:
    trained_world.start_node(hold_time=0.3)
    gestures = trained_world.gestures()
    trained_world.start_camera("--show", "odd:thumbs_up")
    trained_world.wait_for(lambda: any(gesture.stable for gesture in gestures), "a stable gesture")
    first = next(index for index, gesture in enumerate(gestures) if gesture.stable)
    assert first > 0, "the first gesture is not stable yet"
    assert gestures[first].gesture != ThumbGesture.UNKNOWN


def test_unseen_drawn_hands_are_recognized(trained_world: World) -> None:
    trained_world.start_node(smoothing=0.0, image_reliability="reliable")
    gestures = trained_world.gestures()
    trained_world.start_camera("--rate", "30", "--show", "even:all")
    trained_world.wait_for(lambda: len(gestures) >= 300, "300 gestures", timeout=60.0)
    truths = {key_of(gesture.header): truth_of(gesture) for gesture in gestures}
    assert len(truths) == len(gestures), "one gesture per frame"
    assert set(truths.values()) == set(LABELS)
    correct = [gesture.gesture == NUMBERS[truth_of(gesture)] for gesture in gestures]
    accuracy = sum(correct) / len(correct)
    print(f"{accuracy:.3f} of {len(correct)} gestures are correct")
    assert accuracy >= 0.95


def test_overlay_is_a_jpeg_with_the_header_of_the_frame(classifier: ClassifierNode, drawn: dict[str, numpy.ndarray]) -> None:
    overlays = classifier.world.listen(CompressedImage, f"{NODE}/overlay/compressed")
    seen: set[tuple[int, int, str]] = set()

    def has_overlay() -> bool:
        seen.add(key_of(classifier.gesture_of(raw(drawn["thumbs_up"], "rgb8")).header))
        return bool(overlays)

    classifier.world.wait_for(has_overlay, "an overlay")
    assert bytes(overlays[0].data[:3]) == b"\xff\xd8\xff"
    assert overlays[0].format == "jpeg"
    assert key_of(overlays[0].header) in seen
