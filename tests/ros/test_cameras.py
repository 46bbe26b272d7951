"""Several cameras with one node and one model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CompressedImage

from conftest import TrainedModel, copy
from harness import BEST_EFFORT, IN_NAMESPACE, NAMESPACE, NODE, World, free_domain, key_of, truth_of

NAMES = ["front", "rear"]
DROPPED = "frames dropped before classification"
SHOWN = {"front": "thumbs_up", "rear": "thumbs_down"}


@pytest.fixture(scope="module")
def two_cameras(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with a node and two cameras, which show different labels in different sizes."""
    with free_domain() as domain, World(tmp_path_factory.mktemp("cameras"), domain) as world:
        copy(trained.store, world.store)
        world.start_node(cameras=f"[{', '.join(NAMES)}]", margin=0.0, threshold=0.0)
        world.start_camera("--show", f"odd:{SHOWN['front']}", name="front")
        world.start_camera("--show", f"odd:{SHOWN['rear']}", "--rate", "10", name="rear", size="160x120")
        yield world


def test_gestures_of_each_camera_are_in_its_namespace(two_cameras: World) -> None:
    gestures = {name: two_cameras.gestures(name) for name in NAMES}
    without_name = two_cameras.gestures()
    two_cameras.wait_for(lambda: all(len(received) >= 20 for received in gestures.values()), "gestures of both cameras")
    for name, received in gestures.items():
        assert {truth_of(gesture) for gesture in received} == {SHOWN[name]}
        assert len({key_of(gesture.header) for gesture in received}) == len(received), "one for each frame"
        correct = [gesture.label == SHOWN[name] for gesture in received]
        assert sum(correct) >= 0.8 * len(correct)
    assert not without_name


def test_each_camera_has_its_own_stable_gesture(two_cameras: World) -> None:
    gestures = {name: two_cameras.gestures(name) for name in NAMES}

    def are_stable() -> bool:
        return all(any(gesture.stable for gesture in received) for received in gestures.values())

    two_cameras.wait_for(are_stable, "a stable gesture of each camera")
    for name, received in gestures.items():
        stable = [gesture.label for gesture in received if gesture.stable]
        assert stable.count(SHOWN[name]) >= 0.8 * len(stable)


def test_each_camera_has_diagnostics_and_an_overlay(two_cameras: World) -> None:
    for name in NAMES:
        diagnostics = two_cameras.diagnostics(name)
        overlays = two_cameras.listen(CompressedImage, f"{NODE}/{name}/overlay/compressed", BEST_EFFORT)
        two_cameras.wait_for(lambda: overlays and diagnostics.count("frames classified") > 0, f"an overlay and classified frames of {name}")
        assert diagnostics.value("camera topic").startswith(f"{NAMESPACE}/{name}/image_raw")
        assert diagnostics.level() == ord(DiagnosticStatus.OK)
        assert truth_of(overlays[0]) == SHOWN[name]


@pytest.mark.parametrize(("camera", "sizes"), [("rear", {(160, 120)}), ("", {(160, 120), (320, 240)})])
def test_capture_uses_one_camera_or_all(two_cameras: World, camera: str, sizes: set[tuple[int, int]]) -> None:
    label = f"of_{camera or 'all'}"
    answer = two_cameras.call("capture", label=label, frames=20, camera=camera)
    assert answer.success and answer.saved == 20, answer.message
    images = list(Path(two_cameras.dataset, label).iterdir())
    assert {size_of(file.read_bytes()) for file in images} == sizes


def test_capture_of_all_cameras_names_one_without_frames(trained_world: World) -> None:
    trained_world.start_node(cameras="[front, rear]")
    trained_world.start_camera("--rate", "30", name="front")
    answer = trained_world.call("capture", label="wave", frames=10)
    assert not answer.success and answer.saved == 10
    assert f"{NAMESPACE}/rear/image_raw" in answer.message


def test_compressed_images_of_several_cameras_are_classified(trained_world: World) -> None:
    trained_world.start_node(cameras="[front, rear]", image_transport="compressed")
    remap = ["-r", "camera/image_raw/compressed:=front/image_raw/compressed"]
    trained_world.start("photo_camera", "--size", "320x240", "--compressed", *IN_NAMESPACE, *remap)
    gestures = trained_world.gestures("front")
    trained_world.wait_for(lambda: len(gestures) >= 5, "gestures of compressed frames")


def test_new_model_classifies_every_camera(trained_world: World) -> None:
    trained_world.start_node(cameras="[front, rear]")
    for name in NAMES:
        trained_world.start_camera(name=name)
    gestures = {name: trained_world.gestures(name) for name in NAMES}
    status = trained_world.train(force=True)
    trained_world.wait_for(
        lambda: all(received and received[-1].model_id == status.model_id for received in gestures.values()), "the new model"
    )


def size_of(jpeg: bytes) -> tuple[int, int]:
    """Width and height from the header of a baseline JPEG."""
    start = jpeg.index(b"\xff\xc0") + 5
    return int.from_bytes(jpeg[start + 2 : start + 4]), int.from_bytes(jpeg[start : start + 2])


def test_unknown_camera_is_rejected_with_the_known_names(two_cameras: World) -> None:
    answer = two_cameras.call("capture", label="wave", frames=1, camera="left")
    assert not answer.success
    assert "known: front, rear" in answer.message
    assert not Path(two_cameras.dataset, "wave").exists()


def test_single_camera_has_no_name(world: World) -> None:
    world.start_node()
    answer = world.call("capture", label="wave", frames=1, camera="front")
    assert not answer.success
    assert "leave camera empty" in answer.message


def test_other_cameras_continue_when_one_stops(trained_world: World) -> None:
    trained_world.start_node(cameras="[front, rear]")
    trained_world.start_camera(name="front")
    rear = trained_world.start_camera(name="rear")
    gestures = {name: trained_world.gestures(name) for name in NAMES}
    status = {name: trained_world.diagnostics(name) for name in NAMES}
    trained_world.wait_for(lambda: all(len(received) >= 5 for received in gestures.values()), "gestures of both cameras")
    assert rear.end() == 0
    trained_world.wait_for(lambda: gestures["rear"][-1].reason == "stale", "rear is stale", timeout=3.0)
    trained_world.wait_for(lambda: status["rear"].level() == ord(DiagnosticStatus.ERROR), "diagnostics of rear are ERROR")
    assert "rear/image_raw" in status["rear"].status().message
    assert status["front"].level() == ord(DiagnosticStatus.OK)
    gestures["front"].clear()
    trained_world.wait_for(lambda: len(gestures["front"]) >= 10, "gestures of front continue")
    assert all(gesture.reason != "stale" for gesture in gestures["front"])


def test_slow_camera_is_not_starved_by_fast_ones_which_are_told_to_be_too_fast(trained_world: World) -> None:
    """Nearly all frames of the slow camera are classified, while the others publish more than can be classified."""
    trained_world.start_node(cameras="[fast, faster, slow]", image_reliability="reliable", device="cpu", precision="fp32", threads=1)
    for name in ["fast", "faster"]:
        trained_world.start_camera("--rate", "200", name=name, size="32x24")
    slow, fast = trained_world.diagnostics("slow"), trained_world.diagnostics("fast")
    gestures = trained_world.gestures("slow")
    trained_world.wait_for(lambda: fast.count(DROPPED) > 20, "more frames than can be classified")
    trained_world.start_camera("--rate", "5", name="slow")
    trained_world.wait_for(lambda: slow.count("frames received") >= 25, "frames of the slow camera")
    assert slow.count("frames classified") >= 0.9 * slow.count("frames received") - 1
    assert len(gestures) >= slow.count("frames classified") - 1
    assert slow.count(DROPPED) < 0.1 * slow.count("frames received")
    assert slow.level() == ord(DiagnosticStatus.OK)
    trained_world.wait_for(lambda: fast.level() == ord(DiagnosticStatus.WARN), "a warning of the overload")
    assert fast.status().message.startswith("overloaded: "), fast.status().message
