"""Several cameras with one node and one model."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParametersAtomically
from sensor_msgs.msg import CompressedImage

from conftest import TrainedModel, copy
from harness import BEST_EFFORT, IN_NAMESPACE, NAMESPACE, NODE, World, cameras_parameter, free_domain, key_of, truth_of

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


class TestCamerasThatComeAndGo:
    """The parameter cameras, changed while the node runs."""

    ROBOT = "/robot1/camera"

    def cameras_of(self, world: World) -> list[str]:
        return list(world.call("get_parameters", GetParameters, names=["cameras"]).values[0].string_array_value)

    def start_robot(self, world: World, namespace: str = "/robot1", *options: str) -> None:
        world.start("photo_camera", "--size", "160x120", *options, "--ros-args", "-r", f"__ns:={namespace}")

    def test_camera_of_another_robot_joins_and_leaves_while_the_others_go_on(self, trained_world: World) -> None:
        world = trained_world
        world.start_node(cameras="[front]", margin=0.0, threshold=0.0)
        world.start_camera("--show", "odd:thumbs_up", name="front")
        self.start_robot(world, "/robot1", "--show", "odd:thumbs_down")
        front, robot, status = world.gestures("front"), world.gestures(self.ROBOT), world.diagnostics(self.ROBOT)
        world.wait_for(lambda: len(front) >= 5, "gestures of front")
        assert not robot

        assert not world.set_cameras("front", self.ROBOT)
        world.wait_for(lambda: len(robot) >= 5 and status.count("frames classified") > 0, "gestures and diagnostics of the robot's camera")
        assert {truth_of(gesture) for gesture in robot} == {"thumbs_down"}
        assert status.value("camera topic") == f"{self.ROBOT}/image_raw"
        overlays = world.listen(CompressedImage, f"{NODE}{self.ROBOT}/overlay/compressed", BEST_EFFORT)
        world.wait_for(lambda: overlays, "an overlay of the robot's camera")

        answer = world.call("capture", label="wave", frames=3, camera=self.ROBOT)
        assert answer.success, answer.message
        assert all(file.stem.endswith("_robot1-camera") for file in Path(world.dataset, "wave").iterdir())

        # A capture from a camera that leaves ends, and what it has saved is kept.
        capture = world.send("capture", label="long", frames=1000, camera=self.ROBOT)
        world.wait_for(lambda: Path(world.dataset, "long").exists(), "the first frame of a capture")
        assert not world.set_cameras("front")
        world.wait_for(capture.done, "the end of the capture")
        assert not capture.result().success and "removed" in capture.result().message
        assert capture.result().saved == len(list(Path(world.dataset, "long").iterdir()))
        world.wait_for(lambda: robot[-1].reason == "inactive", "a last gesture of the robot's camera")
        world.wait_for(lambda: world.peer.count_publishers(f"{self.ROBOT}/thumb_gesture") == 0, "the end of its topic")
        world.wait_for(lambda: status.arrays and status.status() is None, "diagnostics without it")

        # Again, in place of the other one.
        robot.clear()
        assert not world.set_cameras(self.ROBOT)
        world.wait_for(lambda: len(robot) >= 5, "gestures of the robot's camera again")
        assert front[-1].reason == "inactive"
        assert all(gesture.reason == "" for gesture in front[:-1]), "front was not disturbed"
        stamps = [gesture.header.stamp.sec + gesture.header.stamp.nanosec / 1e9 for gesture in front[:-1]]
        assert max(later - earlier for earlier, later in pairwise(stamps)) < 1.0

    def test_cameras_of_an_inactive_node_are_subscribed_to_when_it_is_activated(self, trained_world: World) -> None:
        world = trained_world
        world.start_node()
        self.start_robot(world)
        robot = world.gestures(self.ROBOT)
        for step in [Transition.TRANSITION_DEACTIVATE, None, Transition.TRANSITION_ACTIVATE]:
            if step is None:
                assert not world.set_cameras(self.ROBOT)
                world.spin_for(0.5)
                assert not robot
            else:
                assert world.call("change_state", ChangeState, transition=Transition(id=step)).success
        world.wait_for(lambda: len(robot) >= 5, "gestures of the robot's camera")

    def test_cameras_that_were_added_leave_if_another_parameter_is_rejected(self, two_cameras: World) -> None:
        nowhere = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="nowhere")
        change = [cameras_parameter(*NAMES, self.ROBOT), Parameter(name="model", value=nowhere)]
        result = two_cameras.call("set_parameters_atomically", SetParametersAtomically, parameters=change).result
        assert not result.successful and "nowhere" in result.reason
        assert self.cameras_of(two_cameras) == NAMES
        two_cameras.wait_for(lambda: two_cameras.peer.count_publishers(f"{self.ROBOT}/thumb_gesture") == 0, "the end of its topic")

    def test_empty_list_is_the_only_camera_of_a_node(self, trained_world: World) -> None:
        trained_world.start_node(cameras="[front]")
        assert not trained_world.set_cameras()
        trained_world.start_camera()
        gestures = trained_world.gestures()
        trained_world.wait_for(lambda: len(gestures) >= 5, "gestures of the only camera")

    def test_all_of_the_most_cameras_can_be_replaced_at_once(self, trained_world: World) -> None:
        world = trained_world
        world.start_node()
        for robot in ["a", "b", "a"]:
            assert not world.set_cameras(*[f"/{robot}/camera{number}" for number in range(16)])
        self.start_robot(world, "/a")
        assert not world.set_cameras("/a/camera", *[f"/b/camera{number}" for number in range(15)])
        gestures = world.gestures("/a/camera")
        world.wait_for(lambda: len(gestures) >= 5, "gestures of the camera that exists")

    @pytest.mark.parametrize(
        ("cameras", "reason"),
        [
            (["front", f"{NAMESPACE}/front"], "are the same in the namespace of the node"),
            (["/robot1/camera/image_raw"], "without /image_raw"),
            (["robot1/camera", "/robot1/camera"], "different names"),
            (["../x"], "different names"),
            (["/"], "different names"),
            (["front/"], "different names"),
            (["a" * 65], "at most 64"),
            ([f"camera{number}" for number in range(17)], "at most 16"),
        ],
    )
    def test_invalid_names_are_rejected_and_nothing_changes(self, two_cameras: World, cameras: list[str], reason: str) -> None:
        assert reason in two_cameras.set_cameras(*cameras)
        assert self.cameras_of(two_cameras) == NAMES
        gestures = two_cameras.gestures("front")
        two_cameras.wait_for(lambda: gestures, "gestures go on")
