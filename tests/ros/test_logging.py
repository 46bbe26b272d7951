"""The log: console, file, /rosout, levels, and no flood."""

from __future__ import annotations

import numpy
import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Log, Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters

from harness import LATCHED, NODE, World
from images import raw

LOGGER = NODE.strip("/").replace("/", ".")
BAD = raw(numpy.zeros((24, 32, 3), numpy.uint8), "rgb8")
BAD.encoding = "32FC1"


def as_number(level: int | bytes) -> int:
    """A level of `Log.msg`, which rclpy has as one byte or as a number."""
    return level if isinstance(level, int) else ord(level)


def set_level(world: World, level: str) -> None:
    """Sets the parameter log_level."""
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=level)
    parameters = [Parameter(name="log_level", value=value)]
    assert world.call("set_parameters", SetParameters, parameters=parameters).results[0].successful


def test_a_message_is_on_the_console_in_the_file_and_on_rosout(world: World) -> None:
    node = world.start_node()
    heard = world.listen(Log, "/rosout", LATCHED)
    advice = "no model yet: capture frames"
    world.wait_for(lambda: any(advice in log.msg for log in heard), "the advice, also for those who come later")
    log = next(log for log in heard if advice in log.msg)
    assert (log.name, log.level) == (LOGGER, as_number(Log.WARN))
    assert log.stamp.sec > 1_700_000_000
    assert "[WARN]" in node.output() and advice in node.output()
    assert node.end() == 0
    files = list((world.directory / "log").glob("thumb_gesture_node_*.log"))
    assert any(advice in file.read_text() for file in files)


@pytest.mark.parametrize("level", ["error", f"{LOGGER}:=error"])
def test_the_level_is_what_the_command_line_or_the_parameter_says(world: World, level: str) -> None:
    node = world.start_node("--log-level", level)
    heard = world.listen(Log, "/rosout", LATCHED)

    def warnings_after_a_mistake() -> int:
        mistake = Transition(label="nonsense")
        assert not world.call("change_state", ChangeState, transition=mistake).success
        assert len([log for log in heard if "nonsense" in log.msg]) <= node.output().count("nonsense")
        return node.output().count("transition nonsense does not exist")

    assert warnings_after_a_mistake() == 0
    set_level(world, "warn")
    assert warnings_after_a_mistake() == 1
    world.wait_for(lambda: any("nonsense" in log.msg for log in heard), "it is on /rosout too")
    set_level(world, "default")
    assert warnings_after_a_mistake() == 1, "as --log-level has it"


def test_debug_tells_what_the_library_tries(taught_world: World) -> None:
    node = taught_world.start_node(log_level="debug", device="cuda")
    heard = taught_world.listen(Log, "/rosout", LATCHED)
    said = "thumb_gesture::classifier: "
    taught_world.wait_for(lambda: any(said in log.msg for log in heard), "what the library reports", node)
    assert {log.level for log in heard if said in log.msg} == {as_number(Log.DEBUG)}
    set_level(taught_world, "warn")
    before = node.output().count("[DEBUG]")
    for label in ("deactivate", "activate"):
        assert taught_world.call("change_state", ChangeState, transition=Transition(label=label)).success
    assert node.output().count("[DEBUG]") == before, "each of their steps is told at debug"


def test_without_rosout_there_is_none(world: World) -> None:
    world.start_node("--disable-rosout-logs")
    assert world.peer.count_publishers("/rosout") == 0


def test_a_flood_of_bad_frames_is_a_line_now_and_then(world: World) -> None:
    node = world.start_node()
    diagnostics = world.diagnostics()
    publisher = world.camera_publisher()
    world.publish_until(
        lambda: diagnostics.count("bad frames") > 100, "a hundred bad frames", lambda: publisher.publish(BAD), 0.005
    )
    assert 1 <= node.output().count("bad frame on") <= 5
