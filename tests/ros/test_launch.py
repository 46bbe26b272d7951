"""The launch files: the three formats are equivalent, and the arguments reach the node (needs `launch_ros`)."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from ament_index_python.packages import get_package_share_directory
from geometry_msgs.msg import Twist
from rcl_interfaces.srv import GetParameters
from sensor_msgs.msg import CompressedImage, Image

from harness import BEST_EFFORT, NAMESPACE, PROFILE_VARIABLE, REPOSITORY, World
from web import free_port

DIRECTORY = REPOSITORY / "launch"
FORMATS = ["py", "xml", "yaml"]
DEFAULT_NOTE = "Default: as in params_file."
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
file, *arguments = sys.argv[1:]
arguments = [tuple(argument.split(":=", 1)) for argument in arguments]
# Forwards signals to the programs, which a terminal would do otherwise.
service = LaunchService(noninteractive=True)
include = IncludeLaunchDescription(file, launch_arguments=arguments)
service.include_launch_description(LaunchDescription([include]))
sys.exit(service.run())
"""

needs_launch = pytest.mark.skipif(
    importlib.util.find_spec("launch_ros") is None,
    reason="launch_ros is not installed; ROS from apt has it, the wheels on PyPI do not, scripts/ros_tools.sh assembles it",
)


@pytest.mark.parametrize("file", sorted(DIRECTORY.glob("*.*")), ids=lambda file: file.name)
def test_launch_file_is_installed(file: Path) -> None:
    assert installed(file.name).read_text() == file.read_text()


@pytest.mark.parametrize("form", ["xml", "yaml"])
def test_formats_are_equivalent(form: str) -> None:
    assert entities(form) == entities("py")


def test_template_has_the_arguments_that_default_to_params_file() -> None:
    """The template sets each parameter unless its argument is empty: a string in quotation marks, a boolean without."""
    arguments = [entity["arg"] for entity in entities("yaml") if "arg" in entity]
    expected = {
        argument["name"]: "" if {"value": "true"} in argument.get("choice", []) else "'"
        for argument in arguments
        if argument["description"].endswith(DEFAULT_NOTE)
    }
    template = (DIRECTORY / "parameters.yaml.in").read_text()
    entry = r"""\$\(if \$\(not-equals '<\$\(var (\w+)\)>' '<>'\) "\1: ('?)\$\(var \1\)\2,"\)"""
    assert dict(re.findall(entry, template)) == expected
    assert template.count("$(if") == len(expected), "the template has no other entries"
    known = yaml.safe_load((REPOSITORY / "config" / "thumb_gesture.yaml").read_text())["/**"]["ros__parameters"]
    assert set(expected) <= set(known)


def test_replay_qos_covers_the_recorded_topics() -> None:
    (topics,) = (
        ast.literal_eval(node.value)
        for node in ast.parse((DIRECTORY / "record.launch.py").read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "TOPICS"
    )
    overrides = yaml.safe_load((REPOSITORY / "config" / "replay_qos.yaml").read_text())
    recorded = {f"{NAMESPACE}/{topic}" for topic in topics}
    assert set(overrides) == recorded | {f"{NAMESPACE}/camera/image_raw", f"{NAMESPACE}/camera/image_raw/compressed"}
    transient_local = {topic for topic, qos in overrides.items() if qos["durability"] == "transient_local"}
    assert transient_local == {f"{NAMESPACE}/thumb_gesture/model", f"{NAMESPACE}/thumb_gesture/training"}


@needs_launch
@pytest.mark.parametrize("form", FORMATS)
def test_arguments_reach_the_node(world: World, form: str) -> None:
    given = [f"store:={world.store}", "use_sim_time:=true", "autostart:=false", "log_level:=debug"]
    # A path that YAML would parse as a mapping with a comment.
    given += ["dataset:=1: 2 #3"]
    launch(world, installed(f"thumb_gesture.launch.{form}"), *given)
    names = ["dataset", "store", "use_sim_time", "autostart", "image_transport"]
    values = world.call("get_parameters", GetParameters, names=names).values
    assert [values[0].string_value, values[1].string_value] == ["1: 2 #3", str(world.store)]
    assert values[2].bool_value and not values[3].bool_value
    assert values[4].string_value == "raw", "the default comes from the installed parameter file"
    world.wait_for(lambda: "[DEBUG]" in world.programs[0].output(), "a debug message in the log")


@needs_launch
@pytest.mark.parametrize("form", FORMATS)
def test_missing_arguments_default_to_params_file(world: World, form: str) -> None:
    parameters = {"dataset": str(world.dataset), "store": str(world.store), "image_transport": "compressed"}
    file = world.directory / "parameters.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
    launch(world, installed(f"thumb_gesture.launch.{form}"), f"params_file:={file}")
    values = world.call("get_parameters", GetParameters, names=list(parameters)).values
    assert [value.string_value for value in values] == list(parameters.values())


@needs_launch
@pytest.mark.parametrize("form", FORMATS)
def test_page_is_started_on_request(world: World, form: str) -> None:
    port = free_port()
    arguments = [*directories(world), "page:=true", "page_address:=::1", f"page_port:={port}"]
    launch(world, installed(f"thumb_gesture.launch.{form}"), *arguments)
    program = world.programs[0]
    world.wait_for(lambda: f"The page is at http://[::1]:{port}/" in program.output(), "the address of the page", program)


@needs_launch
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("transport", "kind", "topic"), [("raw", Image, "eye"), ("compressed", CompressedImage, "eye/compressed")]
)
def test_image_topic_is_remapped(world: World, form: str, transport: str, kind: type, topic: str) -> None:
    arguments = [*directories(world), "image_topic:=eye", f"image_transport:={transport}"]
    launch(world, installed(f"thumb_gesture.launch.{form}"), *arguments)
    publisher = world.peer.create_publisher(kind, f"{NAMESPACE}/{topic}", BEST_EFFORT)
    world.wait_for(lambda: publisher.get_subscription_count() == 1, "the node subscribes")


@needs_launch
@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_demo_has_a_camera(world: World, transport: str) -> None:
    launch(world, installed("demo.launch.py"), *directories(world), "rate:=20.0", f"image_transport:={transport}")
    assert world.capture("none", 3).saved == 3


@needs_launch
def test_robot_stands_still_at_the_start(world: World) -> None:
    twists = world.listen(Twist, f"{NAMESPACE}/cmd_vel")
    launch(world, REPOSITORY / "examples" / "robot.launch.py", *directories(world), "camera:=none")
    world.wait_for(lambda: twists, "a message on cmd_vel")
    assert twists[0] == Twist()


@needs_launch
def test_missing_camera_driver_leaves_nothing_running(world: World) -> None:
    """v4l2_camera is not among the packages that a test may rely on; where it is installed, its device is missing."""
    file = REPOSITORY / "examples" / "robot.launch.py"
    program = world.start(sys.executable, "-c", LAUNCH, str(file), *directories(world), "video_device:=/missing")
    world.wait_for(lambda: not program.is_running() or "/missing" in program.output(), "the end of the launch")
    if not program.is_running():
        assert "v4l2_camera" in program.output()
        assert "process started" not in program.output()


def test_example_starts_the_camera_driver_before_all_others() -> None:
    """A launch ends at the first package that is missing, and leaves running what it has started."""
    text = (REPOSITORY / "examples" / "robot.launch.py").read_text()
    order = re.findall(r'\bpackage="(\w+)"|(IncludeLaunchDescription)\(|(sys.executable),|DeclareLaunchArgument\(\s*"(\w+)"', text)
    names = ["".join(groups) for groups in order]
    drivers = ["v4l2_camera", "ros_deep_learning"]
    others = ["IncludeLaunchDescription", "sys.executable"]
    assert [name for name in names if name in drivers + others] == drivers + others
    assert names.index("namespace") < names.index("v4l2_camera"), "the driver uses the argument"


@needs_launch
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("own", [None, "/own/profile.xml", ""])
def test_profile_of_fast_dds_is_set_unless_the_user_has_one(world: World, form: str, own: str | None) -> None:
    world.env.pop(PROFILE_VARIABLE, None)
    if own is not None:
        world.env[PROFILE_VARIABLE] = own
    launch(world, installed(f"thumb_gesture.launch.{form}"), *directories(world))
    (node,) = world.programs[0].children()
    environment = Path(f"/proc/{node}/environ").read_text().split("\0")
    expected = Path(get_package_share_directory("thumb_gesture")) / "config" / "fastdds.xml"
    profiles = [entry for entry in environment if "_DEFAULT_PROFILES_FILE=" in entry]
    assert profiles == [f"{PROFILE_VARIABLE}={expected if own is None else own}"]


def entities(form: str) -> list[dict[str, Any]]:
    """The entities of a launch file, in the structure of the YAML format."""
    text = (DIRECTORY / f"thumb_gesture.launch.{form}").read_text()
    return {"py": entities_of_python, "xml": entities_of_xml, "yaml": entities_of_yaml}[form](text)


def entities_of_yaml(text: str) -> list[dict[str, Any]]:
    """The entities below `launch`."""
    return yaml.safe_load(text)["launch"]


def entities_of_xml(text: str) -> list[dict[str, Any]]:
    """The elements below `launch`; the children of an element become lists, one for each tag."""

    def fields(element: ElementTree.Element) -> dict[str, Any]:
        found: dict[str, Any] = {
            name: value == "true" if name == "allow_substs" else value for name, value in element.items()
        }
        for child in element:
            found.setdefault(child.tag, []).append(fields(child))
        return found

    return [{element.tag: fields(element)} for element in ElementTree.fromstring(text)]


def entities_of_python(text: str) -> list[dict[str, Any]]:
    """Calls generate_launch_description with the imported names replaced by the functions below."""

    def argument(name: str, default_value: str, description: str, choices: list[str] | None = None) -> dict[str, Any]:
        fields: dict[str, Any] = {"name": name, "default": default_value, "description": description}
        if choices:
            fields["choice"] = [{"value": choice} for choice in choices]
        return {"arg": fields}

    def parameter(given: Any) -> list[dict[str, Any]]:
        if not isinstance(given, dict):
            return [{"from": given}]
        return [given] if "from" in given else [{"name": name, "value": value} for name, value in given.items()]

    def node(parameters: list[Any], ros_arguments: list[str], **fields: Any) -> dict[str, Any]:
        if remappings := fields.pop("remappings", None):
            fields["remap"] = [{"from": old, "to": "".join(new)} for old, new in remappings]
        if condition := fields.pop("condition", None):
            fields["if"] = condition
        if env := fields.pop("additional_env", None):
            fields["env"] = [{"name": name, "value": value} for name, value in env.items()]
        return {
            "node": {
                "pkg": fields.pop("package"),
                "exec": fields.pop("executable"),
                "param": [entry for given in parameters for entry in parameter(given)],
                "ros_args": " ".join(ros_arguments),
                **fields,
            }
        }

    def let(name: str, value: str, condition: str | None = None) -> dict[str, Any]:
        fields = {"name": name, "value": value}
        return {"let": fields | {"if": condition} if condition else fields}

    names: dict[str, Any] = {
        "DeclareLaunchArgument": argument,
        "EnvironmentVariable": lambda name, default_value: f"$(env {name} {default_value})",
        "EqualsSubstitution": lambda left, right: f"$(equals {left} {right})",
        "IfCondition": str,
        "FindPackageShare": lambda package: f"$(find-pkg-share {package})",
        "LaunchConfiguration": lambda name: f"$(var {name})",
        "LaunchDescription": list,
        "Node": node,
        "ParameterFile": lambda file, **fields: {"from": file, **fields},
        "PathJoinSubstitution": "/".join,
        "SetLaunchConfiguration": let,
    }
    module = ast.parse(text)
    module.body = [statement for statement in module.body if not isinstance(statement, ast.ImportFrom)]
    exec(compile(module, "thumb_gesture.launch.py", "exec"), names)
    return names["generate_launch_description"]()


def installed(name: str) -> Path:
    """Path of an installed launch file."""
    return Path(get_package_share_directory("thumb_gesture")) / "launch" / name


def launch(world: World, file: Path, *arguments: str) -> None:
    """Launches a file and waits for the node."""
    program = world.start(sys.executable, "-c", LAUNCH, str(file), *arguments)
    world.wait_for(world.client("get_parameters", GetParameters).service_is_ready, "the node", program)


def directories(world: World) -> list[str]:
    """The arguments for the world's own directories."""
    return [f"dataset:={world.dataset}", f"store:={world.store}"]
