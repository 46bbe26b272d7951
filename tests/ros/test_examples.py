"""The examples that drive a robot: the peer publishes gestures in place of the node and subscribes to cmd_vel."""

from __future__ import annotations

import importlib.util
import math
import signal
import sys

import pytest
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Twist
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, SetParameters
from std_msgs.msg import Header
from thumb_gesture.msg import ThumbGesture

from harness import IN_NAMESPACE, NAMESPACE, NODE, REPOSITORY, Program, World
from requirement import skip_or_fail

PYTHON = [sys.executable, str(REPOSITORY / "examples" / "gesture_to_cmd_vel" / "gesture_to_cmd_vel.py")]
try:
    CPP = [f"{get_package_prefix('gesture_to_cmd_vel_cpp')}/lib/gesture_to_cmd_vel_cpp/gesture_to_cmd_vel"]
except PackageNotFoundError:
    CPP = []
TREE = [sys.executable, str(REPOSITORY / "examples" / "behavior_tree" / "behavior_tree.py")]
needs_cpp = pytest.mark.skipif(not CPP, reason="examples/gesture_to_cmd_vel_cpp is not built; it needs rclcpp")

SPEED = 0.25
UP = ThumbGesture(gesture=ThumbGesture.THUMBS_UP, stable=True)
DOWN = ThumbGesture(gesture=ThumbGesture.THUMBS_DOWN, stable=True)


class Robot:
    """A running example, a publisher of gestures, and the velocities that the example publishes."""

    def __init__(self, world: World, example: list[str], timeout: float = 5.0) -> None:
        self.world = world
        self.program = start(world, example, f"speed:={SPEED}", f"timeout:={timeout}")
        self.twists: list[Twist] = world.listen(Twist, f"{NAMESPACE}/cmd_vel")
        self.gestures = world.peer.create_publisher(ThumbGesture, NODE, 1)
        world.wait_for(lambda: self.gestures.get_subscription_count() == 1, "the example subscribes", self.program)

    def wait_for_speed(self, speed: float, gesture: ThumbGesture | None = None, timeout: float = 20.0) -> None:
        """Publishes the gesture repeatedly until the last three velocities have this speed."""

        def is_reached() -> bool:
            if gesture:
                self.gestures.publish(gesture)
            return self.twists[-3:] == [twist_of(speed)] * 3

        self.world.wait_for(is_reached, f"{speed} m/s", self.program, timeout=timeout)

    def call(self, kind: type, name: str, **fields: object) -> list[object]:
        """Calls a parameter service and returns the list in its response."""
        client = self.world.peer.create_client(kind, f"{NAMESPACE}/gesture_to_cmd_vel/{name}")
        self.world.wait_for(client.service_is_ready, name, self.program)
        answer = client.call_async(kind.Request(**fields))
        self.world.wait_for(answer.done, f"a response of {name}", self.program)
        return getattr(answer.result(), "results" if kind is SetParameters else "descriptors")


@pytest.fixture(params=["python", pytest.param("cpp", marks=needs_cpp)])
def example(request: pytest.FixtureRequest) -> list[str]:
    """The command that starts the example."""
    return {"python": PYTHON, "cpp": CPP}[request.param]


@pytest.fixture(params=["python", pytest.param("cpp", marks=needs_cpp), "behavior tree"])
def robot_program(request: pytest.FixtureRequest) -> list[str]:
    """The command that starts something that drives by gestures."""
    if request.param == "behavior tree" and not importlib.util.find_spec("py_trees"):
        skip_or_fail("examples", "py_trees is not installed; scripts/setup.sh --tests installs it")
    return {"python": PYTHON, "cpp": CPP, "behavior tree": TREE}[request.param]


@pytest.mark.parametrize(("gesture", "speed"), [(UP, SPEED), (DOWN, -SPEED)], ids=["up", "down"])
def test_stable_thumb_drives(world: World, robot_program: list[str], gesture: ThumbGesture, speed: float) -> None:
    robot = Robot(world, robot_program)
    robot.wait_for_speed(0.0)
    robot.wait_for_speed(speed, gesture)
    assert {twist.linear.x for twist in robot.twists} == {0.0, speed}


@pytest.mark.parametrize(
    "gesture",
    [
        ThumbGesture(gesture=ThumbGesture.THUMBS_UP, stable=False),
        ThumbGesture(gesture=ThumbGesture.NONE, stable=True),
        ThumbGesture(gesture=ThumbGesture.OTHER, label="fist", stable=True),
        ThumbGesture(gesture=ThumbGesture.UNKNOWN, label="thumbs_up", reason="threshold", stable=True),
        ThumbGesture(gesture=ThumbGesture.UNKNOWN, label="thumbs_up", reason="stale"),
        ThumbGesture(gesture=ThumbGesture.UNKNOWN, label="thumbs_up", reason="unfamiliar", confidence=1.0, stable=True),
        ThumbGesture(gesture=ThumbGesture.UNKNOWN, label="thumbs_up", reason="inactive"),
        ThumbGesture(gesture=ThumbGesture.THUMBS_UP, stable=True, age=Duration(nanosec=600_000_000)),
        ThumbGesture(gesture=ThumbGesture.THUMBS_UP, stable=True, age=Duration(sec=3600)),
        ThumbGesture(gesture=ThumbGesture.THUMBS_UP, stable=True, header=Header(stamp=Time(sec=1_700_000_000))),
        ThumbGesture(gesture=ThumbGesture.THUMBS_UP, stable=True, header=Header(stamp=Time(sec=-1))),
    ],
    ids=["unstable", "none", "other", "unknown", "stale", "unfamiliar", "inactive", "600 ms old", "an hour old", "recorded", "before 1970"],
)
def test_other_gestures_stop(world: World, robot_program: list[str], gesture: ThumbGesture) -> None:
    robot = Robot(world, robot_program)
    robot.wait_for_speed(SPEED, UP)
    robot.wait_for_speed(0.0, gesture, timeout=4.0)  # before the timeout of 5 s


def test_missing_gestures_stop_after_the_timeout(world: World, robot_program: list[str]) -> None:
    robot = Robot(world, robot_program, timeout=0.5)
    robot.wait_for_speed(SPEED, UP)
    robot.wait_for_speed(0.0, timeout=2.0)


def test_hand_in_front_of_the_camera_drives(trained_world: World, robot_program: list[str]) -> None:
    trained_world.start_node(image_reliability="reliable")
    camera = trained_world.start_camera("--rate", "30", "--show", "odd:thumbs_up")
    robot = Robot(trained_world, robot_program)
    robot.wait_for_speed(SPEED)
    assert camera.end() == 0
    robot.wait_for_speed(0.0, timeout=4.0)  # because of the stale gesture, before the timeout of 5 s


def test_frozen_camera_stops(trained_world: World, robot_program: list[str]) -> None:
    """The image that makes the robot drive is repeated bit for bit, with new stamps."""
    trained_world.start_node(image_reliability="reliable", stale_timeout=3.0)
    # The robot drives only from hold_time to stale_timeout after the first frame.
    robot = Robot(trained_world, robot_program)
    camera = trained_world.start_camera("--rate", "30", "--show", "odd:thumbs_up", "--frozen")
    robot.wait_for_speed(SPEED)
    robot.wait_for_speed(0.0)
    assert camera.is_running()


def test_unfamiliar_frames_stop(trained_world: World, robot_program: list[str]) -> None:
    """The frames that make the robot drive become unfamiliar, because the model is asked to know them better."""
    node = trained_world.start_node(image_reliability="reliable", recognizer="image", familiarity_threshold=0.0)
    robot = Robot(trained_world, robot_program)
    trained_world.start_camera("--rate", "30", "--show", "odd:thumbs_up")
    robot.wait_for_speed(SPEED)
    value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=1.0)
    answer = trained_world.call(
        "set_parameters", SetParameters, parameters=[Parameter(name="familiarity_threshold", value=value)]
    )
    assert answer.results[0].successful, answer.results[0].reason
    robot.wait_for_speed(0.0, timeout=4.0)  # before the timeout of 5 s
    assert node.is_running()


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_last_velocity_is_zero(world: World, robot_program: list[str], with_signal: signal.Signals) -> None:
    robot = Robot(world, robot_program)
    robot.wait_for_speed(SPEED, UP)
    assert robot.program.end(with_signal) == 0
    world.wait_for(lambda: robot.twists[-1] == twist_of(0.0), "velocity zero after the end")


@pytest.mark.parametrize(
    ("name", "value"), [("speed", -0.1), ("speed", 1.1), ("speed", math.nan), ("timeout", 0.0), ("timeout", math.inf), ("max_age", 0.0)]
)
def test_parameter_out_of_range_is_rejected(world: World, example: list[str], name: str, value: float) -> None:
    of_double = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
    [result] = Robot(world, example).call(
        SetParameters, "set_parameters", parameters=[Parameter(name=name, value=of_double)]
    )
    assert not result.successful and name in result.reason
    in_yaml = str(value).replace("nan", ".nan").replace("inf", ".inf")
    program = start(world, example, f"{name}:={in_yaml}")
    assert program.wait(10.0) == 1
    assert "gesture_to_cmd_vel: " in program.output() and name in program.output()
    assert "Traceback" not in program.output()


def test_parameters_are_described(world: World, example: list[str]) -> None:
    robot = Robot(world, example)
    for descriptor in robot.call(DescribeParameters, "describe_parameters", names=["speed", "timeout", "max_age"]):
        assert descriptor.description and descriptor.floating_point_range


def start(world: World, example: list[str], *parameters: str) -> Program:
    """Starts an example."""
    return world.start(*example, *IN_NAMESPACE, *(word for parameter in parameters for word in ("-p", parameter)))


def twist_of(speed: float) -> Twist:
    """The velocity for driving straight ahead."""
    twist = Twist()
    twist.linear.x = speed
    return twist
