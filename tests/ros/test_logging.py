"""The log: console, file, /rosout, levels, and throttling."""

from __future__ import annotations

import numpy
import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Log, Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters

from harness import NODE, TRANSIENT_LOCAL, World
from images import raw

LOGGER = NODE.strip("/").replace("/", ".")
BAD = raw(numpy.zeros((24, 32, 3), numpy.uint8), "rgb8")
BAD.encoding = "32FC1"


def as_number(level: int | bytes) -> int:
    """A level of `Log.msg`, which rclpy represents as a byte or an integer."""
    return level if isinstance(level, int) else ord(level)


def set_level(world: World, level: str) -> None:
    """Sets the parameter log_level."""
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=level)
    parameters = [Parameter(name="log_level", value=value)]
    assert world.call("set_parameters", SetParameters, parameters=parameters).results[0].successful


def test_message_is_on_console_and_rosout_and_in_the_log_file(world: World) -> None:
    node = world.start_node(recognizer="image")
    messages = world.listen(Log, "/rosout", TRANSIENT_LOCAL)
    advice = "no model yet; capture frames"
    world.wait_for(lambda: any(advice in log.msg for log in messages), "the advice on /rosout, for a late subscriber")
    log = next(log for log in messages if advice in log.msg)
    assert (log.name, log.level) == (LOGGER, as_number(Log.WARN))
    assert log.stamp.sec > 1_700_000_000
    assert "[WARN]" in node.output() and advice in node.output()
    assert node.end() == 0
    files = list((world.directory / "log").glob("thumb_gesture_node_*.log"))
    assert any(advice in file.read_text() for file in files)


@pytest.mark.parametrize("level", ["error", f"{LOGGER}:=error"])
def test_level_is_set_by_command_line_and_parameter(world: World, level: str) -> None:
    node = world.start_node("--log-level", level)
    messages = world.listen(Log, "/rosout", TRANSIENT_LOCAL)

    def warnings_after_unknown_transition() -> int:
        transition = Transition(label="nonsense")
        assert not world.call("change_state", ChangeState, transition=transition).success
        assert len([log for log in messages if "nonsense" in log.msg]) <= node.output().count("nonsense")
        return node.output().count("transition nonsense does not exist")

    assert warnings_after_unknown_transition() == 0
    set_level(world, "warn")
    assert warnings_after_unknown_transition() == 1
    world.wait_for(lambda: any("nonsense" in log.msg for log in messages), "the warning on /rosout")
    set_level(world, "default")
    assert warnings_after_unknown_transition() == 1, "the level of the command line"


def test_debug_level_includes_messages_of_the_library(trained_world: World) -> None:
    node = trained_world.start_node(log_level="debug", device="cuda")
    messages = trained_world.listen(Log, "/rosout", TRANSIENT_LOCAL)
    logger = "thumb_gesture::classifier: "
    trained_world.wait_for(lambda: any(logger in log.msg for log in messages), "a message of the library", node)
    assert {log.level for log in messages if logger in log.msg} == {as_number(Log.DEBUG)}
    set_level(trained_world, "warn")
    before = node.output().count("[DEBUG]")
    for label in ("deactivate", "activate"):
        assert trained_world.call("change_state", ChangeState, transition=Transition(label=label)).success
    assert node.output().count("[DEBUG]") == before, "no debug messages at level warn, although transitions log some"


def test_disabled_rosout_has_no_publisher(world: World) -> None:
    world.start_node("--disable-rosout-logs")
    assert world.peer.count_publishers("/rosout") == 0


def test_messages_on_bad_frames_are_throttled(world: World) -> None:
    node = world.start_node()
    diagnostics = world.diagnostics()
    publisher = world.camera_publisher()
    world.publish_until(
        lambda: diagnostics.count("bad frames") > 100, "a hundred bad frames", lambda: publisher.publish(BAD), 0.005
    )
    assert 1 <= node.output().count("bad frame on") <= 5
