"""The launch files, where ROS brings `launch`; on PyPI there is none."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_share_directory
from rcl_interfaces.srv import GetParameters
from sensor_msgs.msg import CompressedImage, Image

from harness import BEST_EFFORT, NAMESPACE, World

FILES = ["thumb_gesture.launch.py", "demo.launch.py"]
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
file, *arguments = sys.argv[1:]
arguments = [tuple(argument.split(":=", 1)) for argument in arguments]
# Passes a signal on to the programs: only a terminal sends it to all of them.
service = LaunchService(noninteractive=True)
include = IncludeLaunchDescription(file, launch_arguments=arguments)
service.include_launch_description(LaunchDescription([include]))
sys.exit(service.run())
"""

needs_launch = pytest.mark.skipif(
    importlib.util.find_spec("launch_ros") is None,
    reason="launch_ros is not installed; it comes with ROS from apt, not with the wheels on PyPI",
)


def installed(name: str) -> Path:
    """A launch file as it was installed."""
    return Path(get_package_share_directory("thumb_gesture")) / "launch" / name


@pytest.mark.parametrize("name", FILES)
def test_a_launch_file_is_installed_and_is_python(name: str) -> None:
    tree = ast.parse(installed(name).read_text())
    assert "generate_launch_description" in {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef)
    }


def launch(world: World, name: str, *arguments: str) -> None:
    """Launches a file with its dataset and store in the world's folder, and waits for the node."""
    folders = [f"dataset:={world.dataset}", f"store:={world.store}"]
    program = world.start(sys.executable, "-c", LAUNCH, str(installed(name)), *folders, *arguments)
    world.wait_for(world.client("capture").service_is_ready, "the node", program)


@needs_launch
def test_arguments_reach_the_node(world: World) -> None:
    launch(world, "thumb_gesture.launch.py", "use_sim_time:=true", "log_level:=debug")
    names = ["dataset", "store", "use_sim_time", "image_transport"]
    values = world.call("get_parameters", GetParameters, names=names).values
    assert [values[0].string_value, values[1].string_value] == [str(world.dataset), str(world.store)]
    assert values[2].bool_value
    assert values[3].string_value == "raw", "what is not given is as the installed file has it"


@needs_launch
@pytest.mark.parametrize(
    ("transport", "kind", "topic"), [("raw", Image, "eye"), ("compressed", CompressedImage, "eye/compressed")]
)
def test_the_image_topic_is_remapped(world: World, transport: str, kind: type, topic: str) -> None:
    launch(world, "thumb_gesture.launch.py", "image_topic:=eye", f"image_transport:={transport}")
    publisher = world.peer.create_publisher(kind, f"{NAMESPACE}/{topic}", BEST_EFFORT)
    world.wait_for(lambda: publisher.get_subscription_count() == 1, "the node subscribes")


@needs_launch
@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_the_demo_has_a_camera(world: World, transport: str) -> None:
    launch(world, "demo.launch.py", "rate:=20.0", f"image_transport:={transport}")
    assert world.capture("none", 3).saved == 3
