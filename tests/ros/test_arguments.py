"""The command line and parameter files: as rclpy and image_transport read them, and what is said about mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import rclpy
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from sensor_msgs.msg import CompressedImage, Image

from harness import BEST_EFFORT, IN_NAMESPACE, NAMESPACE, NODE, Program, World

PROGRAMS = ["thumb_gesture_node", "photo_camera", "teach_page"]

# Parameters with their defaults, for the comparison with rclpy.
DEFAULTS: dict[str, Any] = {"hold_time": 0.5, "threads": 2, "model": "", "overlay": True, "network": "alexnet"}

KEYS = [
    "/**",
    "'**'",
    "/*",
    "/*/*",
    "/*/*/*",
    "/**/*",
    "/jetbot/*",
    "/jetbot/**",
    "/*/thumb_gesture",
    "'*/thumb_gesture'",
    "/**/thumb_gesture",
    "/jetbot/**/thumb_gesture",
    "/jetbot/thumb_gesture",
    "jetbot/thumb_gesture",
    "thumb_gesture",
    "/thumb_gesture",
    "/left/thumb_gesture",
    "/jetbot/thumb",
]
FILE_OF_KEY = "{}:\n  ros__parameters:\n    hold_time: 3.5\n    threads: 3\n"

# Contents of parameter files, and the arguments after them.
FILES: dict[str, tuple[list[str], list[str]]] = {
    "nested": (["jetbot: {thumb_gesture: {ros__parameters: {hold_time: 3.5}}}"], []),
    "nested with a pattern": (["/**: {thumb_gesture: {ros__parameters: {hold_time: 3.5}}}"], []),
    "nested beside parameters": (
        # In this order: rcl rejects nested nodes after ros__parameters.
        ["/**: {thumb_gesture: {ros__parameters: {hold_time: 3.5, threads: 5}}, ros__parameters: {threads: 4}}"],
        [],
    ),
    "specific key first": (
        ["{jetbot/thumb_gesture: {ros__parameters: {hold_time: 3.5}}, /**: {ros__parameters: {hold_time: 2.5}}}"],
        [],
    ),
    "specific key last": (
        ["{/**: {ros__parameters: {hold_time: 2.5}}, jetbot/thumb_gesture: {ros__parameters: {hold_time: 3.5}}}"],
        [],
    ),
    "two files": (
        ["/**: {ros__parameters: {hold_time: 2.5, threads: 3}}", "/**: {ros__parameters: {hold_time: 3.5}}"],
        [],
    ),
    "two files with another order of keys": (
        [
            "{/**: {ros__parameters: {hold_time: 1.5}}, /*/*: {ros__parameters: {hold_time: 2.5}}}",
            "/**: {ros__parameters: {hold_time: 3.5}}",
        ],
        [],
    ),
    "argument after a general key": (["/**: {ros__parameters: {hold_time: 2.5}}"], ["-p", "hold_time:=3.5"]),
    "argument after a specific key": (["/jetbot/*: {ros__parameters: {hold_time: 2.5}}"], ["-p", "hold_time:=3.5"]),
    "argument after both": (
        ["{/**: {ros__parameters: {threads: 3}}, /jetbot/*: {ros__parameters: {hold_time: 2.5}}}"],
        ["-p", "hold_time:=3.5"],
    ),
    "argument with the name of the node": ([], ["-p", "thumb_gesture:hold_time:=3.5", "-p", "threads:=3"]),
    "node with another name": (["/jetbot/eye: {ros__parameters: {hold_time: 3.5}}"], ["-r", "__node:=eye"]),
    "node with another namespace": (["/a/b/*: {ros__parameters: {hold_time: 3.5}}"], ["-r", "__ns:=/a/b"]),
    "node without a namespace": (["thumb_gesture: {ros__parameters: {hold_time: 3.5}}"], ["-r", "__ns:=/"]),
    "types": (["/**: {ros__parameters: {hold_time: 1e1, threads: 0x8, model: '007', overlay: off}}"], []),
    "tags and comments": (
        ["# Robot\n/jetbot:\n  thumb_gesture:\n    ros__parameters:\n      model: 'on' # no\n      network: !!str vgg16\n"],
        [],
    ),
    "empty": (["", "# nothing\n", "/**:\n  ros__parameters: {}\n"], []),
}


def write(directory: Path, files: list[str]) -> list[str]:
    """Writes parameter files; returns the arguments that name them."""
    paths = [directory / f"{index}.yaml" for index in range(len(files))]
    for path, content in zip(paths, files, strict=True):
        path.write_text(content)
    return [word for path in paths for word in ("--params-file", str(path))]


def parameters_of_rclpy(world: World, arguments: list[str]) -> tuple[str, dict[str, Any]]:
    """Full name and parameters of an rclpy node of the same name with the same arguments."""
    node = rclpy.create_node(
        "thumb_gesture",
        context=world.context,
        cli_args=arguments,
        use_global_arguments=False,
        enable_rosout=False,
        start_parameter_services=False,
    )
    try:
        values = {name: node.declare_parameter(name, default).value for name, default in DEFAULTS.items()}
        return node.get_fully_qualified_name(), values
    finally:
        node.destroy_node()


@pytest.mark.parametrize("case", [*KEYS, *FILES])
def test_parameters_equal_those_of_rclpy(world: World, case: str) -> None:
    files, arguments = FILES.get(case) or ([FILE_OF_KEY.format(case)], [])
    # The first rule for a name takes precedence.
    words = ["--ros-args", *write(world.directory, files), *arguments, *IN_NAMESPACE[1:]]
    name, expected = parameters_of_rclpy(world, words)
    node = world.start("thumb_gesture_node", *words, "-p", f"store:={world.store}")
    client = world.peer.create_client(GetParameters, f"{name}/get_parameters")
    world.wait_for(client.service_is_ready, "the node", node)
    answer = world.ask(client, GetParameters.Request(names=list(DEFAULTS)), "the parameters", node)
    found = [parameter_value_to_python(value) for value in answer.values]
    assert dict(zip(DEFAULTS, found, strict=True)) == expected


@pytest.mark.parametrize(
    ("files", "arguments", "warning"),
    [
        (["/jetbt/thumb_gesture: {ros__parameters: {hold_time: 3.5}}"], [], "/jetbt/thumb_gesture are not for this node"),
        (["thumb_gesture: {ros__parameters: {hold_time: 3.5}}"], [], f"the key must be {NODE} or a pattern such as /**"),
        (
            ["{/lidar: {ros__parameters: {rate: 1}}, /**/camera: {ros__parameters: {rate: 2}}}"],
            [],
            "/lidar, /**/camera are not for this node",
        ),
        (
            ["{/**: {ros__parameters: {threads: 3}}, thumb_gesture: {ros__parameters: {hold_time: 3.5}}}"],
            [],
            "the parameters of thumb_gesture are not for this node",
        ),
        ([""], [], "0.yaml contains no parameters"),
        ([], ["-p", "thumb_gesture:hold_time:=1.0"], "-p thumb_gesture:hold_time:=1.0: the parameters of thumb_gesture"),
        (
            ["/**: {ros__parameters: {hold_tme: 3.5}}"],
            [],
            "0.yaml: the unknown parameter hold_tme is ignored; did you mean hold_time?",
        ),
        ([], ["-p", "treshold:=0.5"], "-p treshold:=0.5: the unknown parameter treshold is ignored; did you mean threshold?"),
        (["/**: {ros__parameters: {hold: {time: 3.5}}}"], [], "unknown parameter hold.time is ignored"),
        ([], ["-p", "qos_overrides./jetbot/camera/image_raw.subscription.depth:=2"], "unknown parameter qos_overrides."),
    ],
)
def test_ignored_parameter_is_named(world: World, files: list[str], arguments: list[str], warning: str) -> None:
    node = world.start_node(*write(world.directory, files), *arguments)
    warnings = [line for line in node.output().splitlines() if "[WARN]" in line]
    assert any(warning in line for line in warnings), warnings


def test_parameters_of_every_node_and_those_of_other_nodes_cause_no_warning(world: World) -> None:
    files = [
        "/**: {ros__parameters: {use_sim_time: false, start_type_description_service: true, "
        "qos_overrides: {/parameter_events: {publisher: {depth: 10}}}}}",
        "{/lidar: {ros__parameters: {rate: 1}}, /jetbot/thumb_gesture: {ros__parameters: {threads: 3}}, "
        "/left/thumb_gesture: {ros__parameters: {threads: 4}}}",
    ]
    node = world.start_node(*write(world.directory, files))
    assert [line for line in node.output().splitlines() if ".yaml" in line] == []


def test_rejected_value_is_named_with_its_file(world: World) -> None:
    files = ["/**/thumb_gesture: {ros__parameters: {hold_time: '3.5'}}"]
    node = world.start("thumb_gesture_node", *IN_NAMESPACE, *write(world.directory, files))
    assert node.wait(10.0) == 1
    assert "0.yaml: hold_time is of type string, must be of type double" in node.output()


def test_parameter_file_may_be_a_pipe(world: World) -> None:
    command = "exec thumb_gesture_node --ros-args --params-file <(echo '/**: {ros__parameters: {hold_tme: 1}}')"
    node = world.start("bash", "-c", f"{command} -p store:={world.store}")
    world.wait_for(lambda: "unknown parameter hold_tme" in node.output(), "the contents of the pipe", node)


INVALID = {
    "-r": "must be FROM:=TO",
    "-r foo": "-r foo: must be FROM:=TO",
    "--remap :=x": "--remap :=x: must be FROM:=TO",
    "-r a:=b//c": "must be FROM:=TO",
    "-r __node:=bad-name": "__node:=bad-name: must be a name of letters",
    "-r __ns:=no_slash": "__ns:=no_slash: must be an absolute namespace, such as __ns:=/jetbot",
    "-p hold_time": "-p hold_time: must be NAME:=VALUE",
    "-p hold_time:=": "must be NAME:=VALUE",
    "--param 1x:=3": "must be NAME:=VALUE",
    "--params-file": "must be a YAML file",
    "--params-file missing.yaml": "cannot read the file of --params-file missing.yaml: No such file or directory",
    "--params-file .": "cannot read the file of --params-file .: is a directory",
    "--log-config-file missing": "cannot read the file of --log-config-file missing",
    "--log-level foo": "--log-level foo: must be debug, info, warn, error or fatal",
    "-e enclave": "-e enclave: must be an absolute name",
    "--enclave /bad-name": "--enclave /bad-name: must be an absolute name",
    "--log-level=warn": "--log-level=warn; a value follows its option without =",
    "--unknown": "unknown ROS argument --unknown",
    "stray": "unknown ROS argument stray",
}


def assert_rejected(program: Program, reason: str) -> None:
    """Asserts that a program ends with a single line of reason, and the status for invalid arguments."""
    assert program.wait(10.0) == 2, program.output()
    (line,) = program.output().splitlines()
    assert line.startswith("Error: ") and reason in line


@pytest.mark.parametrize("arguments", INVALID)
def test_invalid_ros_argument_is_named_with_what_it_must_be(world: World, arguments: str) -> None:
    for name in PROGRAMS:
        program = world.start(name, "--ros-args", "-p", "threads:=3", *arguments.split())
        assert_rejected(program, INVALID[arguments])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a: [1\n", "line 1"),
        ("/**:\n\tros__parameters:\n", "must be a YAML file, indented with spaces"),
        ("/**:\n  hold_time: 1.0\n", "Cannot have a value before ros__parameters at line 2"),
        ("/**:\n  ros_parameters:\n    hold_time: 1.0\n", "Cannot have a value before ros__parameters at line 3"),
        ("/**:\n  ros__parameters:\n    hold_time:\n", "No value at line 3"),
        ("/**:\n  ros__parameters:\n    affinity: [1, a]\n", "Sequence should be of same type"),
        ("/a b:\n  ros__parameters:\n    x: 1\n", "must not contain characters"),
        ("\xff", "must be a YAML file"),
    ],
)
def test_invalid_parameter_file_is_named_with_the_line(world: World, content: str, reason: str) -> None:
    (world.directory / "own.yaml").write_text(content, encoding="latin-1")
    program = world.start("thumb_gesture_node", "--ros-args", "--params-file", f"{world.directory}/own.yaml")
    assert_rejected(program, reason)
    assert "own.yaml" in program.output()


@pytest.mark.parametrize("name", PROGRAMS)
def test_parameters_of_other_programs_are_ignored_with_a_warning(world: World, name: str) -> None:
    """As a launch file sets them for all nodes with SetParameter."""
    files = write(world.directory, ["/**: {ros__parameters: {robot_name: jetbot, wheels: {radius: 0.03}}}"])
    own = ["-p", f"store:={world.store}", "-p", f"dataset:={world.dataset}", "-p", "page_port:=0"]
    program = world.start(name, "--ros-args", *files, *own)
    for unknown in ("robot_name", "wheels.radius"):
        expected = f"the unknown parameter {unknown} is ignored"
        world.wait_for(lambda expected=expected: expected in program.output(), expected, program)
    names = [f"/{node}" for node in ("thumb_gesture", "photo_camera", "teach_page")]
    world.wait_for(lambda: set(names) & set(full_names(world)), "the node", program)


def full_names(world: World) -> list[str]:
    """The nodes in the ROS graph."""
    found = world.peer.get_node_names_and_namespaces()
    return [f"{namespace.rstrip('/')}/{name}" for name, namespace in found]


@pytest.mark.parametrize("name", PROGRAMS)
def test_argument_that_is_not_for_ros_is_rejected_with_the_usage(world: World, name: str) -> None:
    for arguments in (["-p", "threads:=3"], ["--ros-args", "-p", "threads:=3", "--", "stray"]):
        program = world.start(name, *arguments)
        assert program.wait(10.0) == 2
        assert "error: unexpected argument" in program.output()
        assert f"Usage: {name}" in program.output()


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_and_version(world: World, name: str) -> None:
    for option, expected in (("--help", "Usage: "), ("-h", "Usage: "), ("--version", f"{name} 0.")):
        program = world.start(name, option)
        assert program.wait(10.0) == 0
        assert expected in program.output()


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"ROS_DOMAIN_ID": "front"}, "Error: cannot create the node: ROS_DOMAIN_ID is not an integral number"),
        # Fast DDS ends the process.
        ({"ROS_DOMAIN_ID": "9999"}, "Probably the domainId is over 232"),
        (
            {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce", "ROS_SECURITY_KEYSTORE": "/missing"},
            "Error: cannot create the node: SECURITY ERROR: directory '/missing",
        ),
    ],
)
def test_invalid_environment_is_named(world: World, name: str, environment: dict[str, str], reason: str) -> None:
    program = world.start(name, **environment)
    assert program.wait(10.0) == 1
    assert reason in program.output()
    assert "panicked" not in program.output()


def test_arguments_of_the_camera_may_follow_those_of_ros(world: World) -> None:
    camera = world.start("photo_camera", *IN_NAMESPACE, "--", "--count", "1")
    assert camera.wait(10.0) == 0


def test_camera_names_ignored_parameters_and_uses_simulated_time(world: World) -> None:
    files = ["/jetbot/photo_camera: {ros__parameters: {use_sim_time: true, frame_rate: 3}}", "/camera: {ros__parameters: {a: 1}}"]
    camera = world.start_camera(*IN_NAMESPACE, *write(world.directory, files), "--")
    images = world.listen(Image, f"{NAMESPACE}/camera/image_raw", BEST_EFFORT)
    world.wait_for(lambda: images, "an image", camera)
    assert images[0].header.stamp.sec == 0, "nothing publishes on /clock"
    assert "0.yaml: the unknown parameter frame_rate is ignored" in camera.output()
    assert "1.yaml: the parameters of /camera are not for this node" in camera.output()


USB = "/usb_cam/image_raw"
REMAPPED = [
    ({}, ["camera/image_raw:=/usb_cam/image_raw"], f"{USB}/compressed"),
    ({}, ["camera/image_raw/compressed:=/jpeg"], "/jpeg"),
    ({}, ["camera/image_raw:=/usb_cam/image_raw", "camera/image_raw/compressed:=/jpeg"], "/jpeg"),
    ({}, ["/jetbot/camera/image_raw:=eye"], f"{NAMESPACE}/eye/compressed"),
    ({}, ["camera/image_raw:=~/image"], "{node}/image/compressed"),
    ({}, ["camera/image_raw:=/a", "/a/compressed:=/b"], "/b"),
    ({}, ["__ns:=/left"], "/left/camera/image_raw/compressed"),
]


@pytest.mark.parametrize(("_", "rules", "topic"), REMAPPED)
def test_compressed_topic_follows_the_base_topic(world: World, _: object, rules: list[str], topic: str) -> None:
    """The same for the node and the camera, except that ~ is the node's own name."""
    remaps = [word for rule in rules for word in ("-r", rule)]
    node = world.start("thumb_gesture_node", "--ros-args", *remaps, *IN_NAMESPACE[1:], "-p", "image_transport:=compressed", "-p", f"store:={world.store}")
    subscribed = topic.format(node=NODE)
    world.wait_for(lambda: world.peer.count_subscribers(subscribed) == 1, f"the node subscribes to {subscribed}", node)
    camera = world.start("photo_camera", "--compressed", "--ros-args", *remaps, *IN_NAMESPACE[1:])
    images = world.listen(CompressedImage, topic.format(node=f"{NAMESPACE}/photo_camera"), BEST_EFFORT)
    world.wait_for(lambda: images, f"an image on {topic}", camera)


def test_compressed_topics_of_several_cameras_and_the_overlay_follow_their_base_topics(world: World) -> None:
    rules = ["front/image_raw:=/usb_front/image_raw", "rear/image_raw/compressed:=/jpeg", "~/front/overlay:=/debug"]
    remaps = [word for rule in rules for word in ("-r", rule)]
    node = world.start_node(*remaps, cameras="[front, rear]", image_transport="compressed")
    for topic in ("/usb_front/image_raw/compressed", "/jpeg"):
        world.wait_for(lambda topic=topic: world.peer.count_subscribers(topic) == 1, f"a subscription to {topic}", node)
    for topic in ("/debug/compressed", f"{NODE}/rear/overlay/compressed"):
        world.wait_for(lambda topic=topic: world.peer.count_publishers(topic) == 1, f"an overlay on {topic}", node)
    diagnostics = world.diagnostics("front")
    world.wait_for(
        lambda: diagnostics.value("camera topic") == "/usb_front/image_raw/compressed", "the topic in the diagnostics", node
    )
