"""Parameters at the start and at run time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest
from ament_index_python.packages import get_package_share_directory
from rcl_interfaces.msg import Parameter, ParameterEvent, ParameterType, ParameterValue
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from sensor_msgs.msg import CompressedImage
from thumb_gesture.msg import ThumbGesture

from conftest import OTHER, TrainedModel, add_model
from harness import BEST_EFFORT, IN_NAMESPACE, NODE, World
from images import raw


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("threshold:=1.5", "threshold is 1.5, must be 0 to 1"),
        ("threshold:=.nan", "threshold is NaN, must be 0 to 1"),
        ("threshold:=high", "threshold is of type string, must be of type double"),
        ("threads:=0", "threads is 0, must be 1 to 64"),
        ("image_transport:=theora", 'image_transport is "theora", must be raw or compressed'),
        ("image_depth:=[1]", "image_depth is of type integer array, must be of type integer"),
        ("dataset:=''", 'dataset is "", must be not empty'),
        ("cameras:=front", "cameras is of type string, must be of type string array"),
        ("cameras:=[front, front]", 'cameras is ["front", "front"], must be at most 16 different names'),
        ("cameras:=[a/image_raw]", 'cameras is ["a/image_raw"], must be at most 16 different names'),
        ("cameras:=[front, /jetbot/front]", "cameras has front and /jetbot/front, which are the same"),
        ("affinity:=[1000]", "affinity contains CPU 1000, but this process may run on ["),
    ],
)
def test_invalid_parameter_at_the_start_ends_the_node_with_the_rule(world: World, given: str, rule: str) -> None:
    node = world.start("thumb_gesture_node", *IN_NAMESPACE, "-p", f"store:={world.store}", "-p", given)
    assert node.wait(10.0) not in (0, -6), node.output()
    assert rule in node.output()
    assert "panicked" not in node.output()


def test_network_runs_on_the_cpus_of_affinity(trained_world: World) -> None:
    cpu = min(os.sched_getaffinity(0))
    node = trained_world.start_node(affinity=f"[{cpu}]", threads=2)
    publisher = trained_world.camera_publisher()
    image = raw(numpy.zeros((24, 32, 3), numpy.uint8), "rgb8")
    trained_world.gesture_of(publisher, image, trained_world.gestures())
    tasks = list(Path(f"/proc/{node.process.pid}/task").iterdir())
    cpus = {int(task.name): os.sched_getaffinity(int(task.name)) for task in tasks}
    (classifier,) = (int(task.name) for task in tasks if (task / "comm").read_text().strip() == "classifier")
    assert cpus[classifier] == {cpu}
    pinned = [task for task, allowed in cpus.items() if allowed == {cpu}]
    assert len(pinned) >= 2, "the classifier and at least one thread of the runtime"


def text(value: str) -> ParameterValue:
    """A string value."""
    return ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)


def number(value: float) -> ParameterValue:
    """A double value."""
    return ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)


def set_parameter(world: World, name: str, value: ParameterValue) -> Any:
    """Sets a parameter as `ros2 param set` does; returns the result."""
    parameter = Parameter(name=name, value=value)
    return world.call("set_parameters", SetParameters, parameters=[parameter]).results[0]


def get_parameter(world: World, name: str) -> ParameterValue:
    """Gets a parameter as `ros2 param get` does."""
    return world.call("get_parameters", GetParameters, names=[name]).values[0]


def test_changed_parameter_takes_effect_on_the_next_frame(
    trained_world: World, drawn: dict[str, numpy.ndarray]
) -> None:
    trained_world.start_node(smoothing=0.0, margin=0.0, hysteresis=0.0)
    publisher, gestures = trained_world.camera_publisher(), trained_world.gestures()
    # The model is not certain about noise.
    noise = numpy.random.default_rng(1).integers(0, 256, drawn["none"].shape, numpy.uint8)
    image = raw(noise, "rgb8")
    for threshold, reason in [(0.0, ""), (1.0, "threshold"), (0.0, "")]:
        result = set_parameter(trained_world, "threshold", number(threshold))
        assert result.successful, result.reason
        assert get_parameter(trained_world, "threshold").double_value == threshold
        gesture = trained_world.gesture_of(publisher, image, gestures)
        assert gesture.confidence < 1.0
        assert gesture.reason == reason
        assert (gesture.gesture == ThumbGesture.UNKNOWN) == bool(reason)


def test_threshold_follows_the_tolerated_rate_of_false_thumbs(
    trained_world: World, drawn: dict[str, numpy.ndarray]
) -> None:
    trained_world.start_node(threshold=0.6, max_false_thumbs_per_minute=0.0)
    publisher, gestures = trained_world.camera_publisher(), trained_world.gestures()
    diagnostics = trained_world.diagnostics()
    image = raw(drawn["none"], "rgb8")
    trained_world.gesture_of(publisher, image, gestures)
    message = trained_world.model().message
    assert "is in effect, the parameter is 0.60" in message
    assert "no dataset supports that" in message, "few frames do not say that there are no false thumbs at all"
    threshold = message.split("threshold ")[1].split(" ")[0]
    trained_world.wait_for(lambda: diagnostics.value("threshold in effect") == threshold, "the threshold")

    never = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=-1.0)
    assert set_parameter(trained_world, "max_false_thumbs_per_minute", never).successful
    trained_world.gesture_of(publisher, image, gestures)
    assert "false thumbs" not in trained_world.model().message
    trained_world.wait_for(lambda: diagnostics.value("threshold in effect") == "0.60", "the parameter's threshold")


def test_model_and_backend_change_at_run_time_and_unavailable_ones_are_rejected(
    trained_world: World, trained: TrainedModel, drawn: dict[str, numpy.ndarray]
) -> None:
    trained_world.start_node()
    publisher, gestures = trained_world.camera_publisher(), trained_world.gestures()
    image = raw(drawn["none"], "rgb8")

    def running() -> tuple[str, str]:
        gesture = trained_world.gesture_of(publisher, image, gestures)
        assert gesture.backend == trained_world.model().backend
        return gesture.model_id, gesture.backend

    assert running() == (trained.model_id, "onnx/cpu/int8")
    for name, value, backend in [
        ("precision", "fp32", "onnx/cpu/fp32"),
        ("device", "cpu", "onnx/cpu/fp32"),
        ("precision", "auto", "onnx/cpu/int8"),
    ]:
        result = set_parameter(trained_world, name, text(value))
        assert result.successful, result.reason
        assert running() == (trained.model_id, backend)

    rejected = set_parameter(trained_world, "model", text("no-such-model"))
    assert not rejected.successful and 'there is no model "no-such-model"' in rejected.reason
    assert get_parameter(trained_world, "model").string_value == ""
    if not shutil.which("nvidia-smi"):
        gpu = ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=True)
        rejected = set_parameter(trained_world, "require_gpu", gpu)
        assert not rejected.successful and "require_gpu is set" in rejected.reason
        assert not get_parameter(trained_world, "require_gpu").bool_value
    assert running() == (trained.model_id, "onnx/cpu/int8"), "rejected changes have no effect"


def test_parameter_model_activates_a_model_and_follows_activate_model(trained_world: World, trained: TrainedModel) -> None:
    add_model(trained_world.store, trained)
    trained_world.start_node()
    trained_world.wait_for(lambda: trained_world.model().active, "the model is loaded")
    assert set_parameter(trained_world, "model", text(OTHER)).successful
    trained_world.wait_for(lambda: trained_world.model().model_id == OTHER, "the other model is active")
    active = [model.model_id for model in trained_world.call("list_models").models if model.active]
    assert active == [OTHER]
    assert trained_world.call("activate_model", model_id="").success
    assert get_parameter(trained_world, "model").string_value == trained.model_id
    trained_world.wait_for(lambda: trained_world.model().model_id == trained.model_id, "the previous model is active")


def test_overlay_is_published_only_if_its_parameter_is_set(
    trained_world: World, drawn: dict[str, numpy.ndarray]
) -> None:
    trained_world.start_node(overlay=False)
    publisher, gestures = trained_world.camera_publisher(), trained_world.gestures()
    overlays = trained_world.listen(CompressedImage, f"{NODE}/overlay/compressed", BEST_EFFORT)
    image = raw(drawn["none"], "rgb8")
    trained_world.wait_for(
        lambda: trained_world.peer.count_publishers(f"{NODE}/overlay/compressed") > 0, "the topic of the overlay"
    )
    for _ in range(5):
        trained_world.gesture_of(publisher, image, gestures)
    assert not overlays
    shown = ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=True)
    assert set_parameter(trained_world, "overlay", shown).successful

    def has_overlay() -> bool:
        trained_world.gesture_of(publisher, image, gestures)
        return bool(overlays)

    trained_world.wait_for(has_overlay, "an overlay")


def test_invalid_and_read_only_parameters_are_rejected(world: World) -> None:
    world.start_node(threshold=0.6)
    invalid = [
        ("threshold", number(1.5), "0 to 1"),
        ("threshold", number(float("nan")), "0 to 1"),
        ("threshold", text("high"), "double"),
        ("store", text("/elsewhere"), "read-only"),
        ("use_sim_time", ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=True), "read-only"),
        ("treshold", number(0.5), "unknown parameter treshold; known: dataset, store"),
    ]
    for name, value, rule in invalid:
        result = set_parameter(world, name, value)
        assert not result.successful, (name, value)
        assert rule in result.reason
    assert get_parameter(world, "threshold").double_value == 0.6
    assert get_parameter(world, "store").string_value == str(world.store)


def test_text_of_a_request_is_escaped_and_shortened_in_the_reason(world: World) -> None:
    world.start_node()
    result = set_parameter(world, "\x1b]0;title\x07\n" + "x" * 100_000, number(1.0))
    assert not result.successful
    assert result.reason.startswith(r"unknown parameter \u001b]0;title\u0007\u000axxx")
    assert "x…; known: " in result.reason and len(result.reason) < 2000


def test_set_parameters_atomically_sets_all_or_none(world: World) -> None:
    world.start_node(threshold=0.6)

    def set_both(margin: float) -> Any:
        parameters = [
            Parameter(name="threshold", value=number(0.9)),
            Parameter(name="margin", value=number(margin)),
        ]
        return world.call("set_parameters_atomically", SetParametersAtomically, parameters=parameters).result

    rejected = set_both(7.0)
    assert not rejected.successful
    assert "0 to 1" in rejected.reason
    assert get_parameter(world, "threshold").double_value == 0.6
    accepted = set_both(0.1)
    assert accepted.successful, accepted.reason
    assert [get_parameter(world, name).double_value for name in ("threshold", "margin")] == [0.9, 0.1]


def test_every_parameter_is_listed_and_described(world: World) -> None:
    world.start_node()
    names = list(world.call("list_parameters", ListParameters).result.names)
    assert {"dataset", "store", "image_transport", "threshold", "use_sim_time"} <= set(names)
    assert world.call("list_parameters", ListParameters, prefixes=["threshold", "nothing"]).result.names == ["threshold"]
    descriptors = world.call("describe_parameters", DescribeParameters, names=names).descriptors
    assert [descriptor.name for descriptor in descriptors] == names
    assert all(descriptor.description for descriptor in descriptors)
    assert {descriptor.type for descriptor in descriptors} == {
        ParameterType.PARAMETER_BOOL,
        ParameterType.PARAMETER_INTEGER,
        ParameterType.PARAMETER_DOUBLE,
        ParameterType.PARAMETER_STRING,
        ParameterType.PARAMETER_INTEGER_ARRAY,
        ParameterType.PARAMETER_STRING_ARRAY,
    }


def test_descriptor_has_range_constraints_and_read_only(world: World) -> None:
    """Shown by `ros2 param describe` and rqt."""
    world.start_node()
    names = ["threshold", "threads", "device", "nothing"]
    found = world.call("describe_parameters", DescribeParameters, names=names).descriptors
    threshold, threads, device, nothing = found
    assert [(r.from_value, r.to_value) for r in threshold.floating_point_range] == [(0.0, 1.0)]
    assert not threshold.read_only
    assert [(r.from_value, r.to_value, r.step) for r in threads.integer_range] == [(1, 64, 1)]
    assert not threads.read_only
    assert are_start_parameters_read_only(world), "parameters that take effect only at the start are read-only"
    assert device.additional_constraints == "auto or cpu or cuda"
    assert not device.integer_range and not device.floating_point_range
    assert (nothing.name, nothing.type) == ("nothing", ParameterType.PARAMETER_NOT_SET)
    types = world.call("get_parameter_types", GetParameterTypes, names=names).types
    assert list(types) == [descriptor.type for descriptor in found]


def are_start_parameters_read_only(world: World) -> bool:
    """Whether all parameters that take effect only at the start are read-only."""
    names = ["dataset", "store", "image_depth", "affinity", "autostart", "use_sim_time"]
    found = world.call("describe_parameters", DescribeParameters, names=names).descriptors
    return all(descriptor.read_only for descriptor in found)


def test_parameter_events_contain_the_changes(world: World) -> None:
    events = world.listen(ParameterEvent, "/parameter_events")
    world.start_node()
    values = iter(range(1, 60))

    def has_event() -> bool:
        assert set_parameter(world, "hold_time", number(next(values))).successful
        world.spin_for(0.1)
        return bool(events)

    world.wait_for(has_event, "an event")
    events.clear()
    for value in [0.7, 0.7, 2.0, 0.8]:
        assert set_parameter(world, "threshold", number(value)).successful == (value <= 1.0)
    world.wait_for(lambda: len(events) >= 2, "the events of two changes")
    changes = [[(one.name, one.value.double_value) for one in event.changed_parameters] for event in events]
    assert changes == [[("threshold", 0.7)], [("threshold", 0.8)]]
    assert {event.node for event in events} == {NODE}


@pytest.mark.parametrize("node_name", ["/**", "/jetbot/thumb_gesture"])
def test_parameter_file_is_read(world: World, node_name: str) -> None:
    """With the node name as users write it, and as `ros2 launch` does."""
    own = world.directory / "own.yaml"
    own.write_text(f"{node_name}:\n  ros__parameters:\n    threshold: 0.75\n    store: {world.store}\n")
    installed = f"{get_package_share_directory('thumb_gesture')}/config/thumb_gesture.yaml"
    world.start("thumb_gesture_node", *IN_NAMESPACE, "--params-file", installed, "--params-file", str(own))
    world.wait_for(world.client("capture").service_is_ready, "the node")
    assert get_parameter(world, "threshold").double_value == 0.75
    assert get_parameter(world, "store").string_value == str(world.store)
