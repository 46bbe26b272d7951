"""The node without a model: the built-in recognizer of thumbs."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
from ament_index_python.packages import get_package_share_directory
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from thumb_gesture.msg import ThumbGesture

from harness import World
from images import raw

IMAGE = raw(numpy.full((48, 64, 3), 90, numpy.uint8), "rgb8")


@pytest.fixture
def hand_networks() -> None:
    """Skips the test if the networks for hands are not installed."""
    directory = Path(get_package_share_directory("thumb_gesture"), "weights", "hand")
    if not directory.is_dir():
        pytest.skip(f"no hand networks in {directory}; run scripts/setup.sh and build the package again")


def use_recognizer(world: World, name: str) -> None:
    """Sets the parameter recognizer."""
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=name)
    parameters = [Parameter(name="recognizer", value=value)]
    result = world.call("set_parameters", SetParameters, parameters=parameters).results[0]
    assert result.successful, result.reason


@pytest.mark.usefixtures("hand_networks")
def test_frames_are_classified_without_a_model(world: World) -> None:
    world.start_node()
    world.wait_for(lambda: world.model().active, "the built-in recognizer is loaded")
    model = world.model()
    assert model.model_id == "builtin"
    assert model.backend in ("onnx/cpu/int8", "onnx/cpu/fp32"), "int8 depends on the CPU"
    assert "~/capture" in model.message and "~/retrain" in model.message
    gesture = world.gesture_of(world.camera_publisher(), IMAGE, world.gestures())
    assert (gesture.gesture, gesture.model_id) == (ThumbGesture.NONE, "builtin")
    assert gesture.labels == ["none", "thumbs_down", "thumbs_up"]
    assert list(gesture.probabilities) == [1.0, 0.0, 0.0], "there is no hand"


@pytest.mark.usefixtures("hand_networks")
def test_recognizer_is_changed_at_run_time(world: World) -> None:
    world.start_node(recognizer="image")
    assert "no model yet" in world.model().message
    for name, model in [("landmarks", "builtin"), ("image", ""), ("auto", "builtin")]:
        use_recognizer(world, name)
        world.wait_for(lambda model=model: world.model().model_id == model, f"{model!r} with {name}")


def test_missing_networks_are_named_and_the_node_runs(world: World) -> None:
    world.env["THUMB_GESTURE_PRETRAINED"] = str(world.directory)
    node = world.start_node()
    world.wait_for(lambda: "no model yet" in world.model().message, "the message on ~/model")
    assert "scripts/setup.sh" in world.model().message
    assert world.model().model_id == ""
    assert node.is_running()


def test_required_landmarks_without_networks_fail_the_transition(world: World) -> None:
    world.env["THUMB_GESTURE_PRETRAINED"] = str(world.directory)
    node = world.start_node(recognizer="landmarks")
    world.wait_for(lambda: "cannot load model builtin" in node.output(), "the reason in the log")
