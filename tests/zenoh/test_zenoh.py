"""The node under rmw_zenoh_cpp: as over DDS, without a router for a while, and through NAT."""

from __future__ import annotations

import signal

import numpy
import pytest
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image
from thumb_gesture.msg import DatasetSummary, ModelInfo, ThumbGesture, TrainingStatus

from harness import CAMERA, NAMESPACE, NODE, TRANSIENT_LOCAL, Program, World
from images import raw
from robots import ROBOTS, RobotWorld
from web import Viewer, start_page

STATES = {"model": ModelInfo, "dataset": DatasetSummary, "training": TrainingStatus}
IMAGE = numpy.full((24, 32, 3), 128, numpy.uint8)
# Seconds from the start of a router until the programs and routers that have lost it have connected again.
RECONNECTED_AFTER = 15.0


def start_camera(world: World, *options: str) -> Program:
    """Starts a camera that shows a thumb."""
    return world.start_camera("--rate", "15", "--show", "thumbs_up", *options)


def wait_for_gestures(world: World, gestures: list[ThumbGesture], *programs: Program, timeout: float = 20.0) -> None:
    """Waits for more gestures of fresh frames."""
    gestures.clear()
    world.wait_for(
        lambda: sum(gesture.reason != "stale" for gesture in gestures) > 20, "gestures", *programs, timeout=timeout
    )


def expect_answers(world: World) -> None:
    """Late subscribers get the state of the node, and its services respond."""
    for name, kind in STATES.items():
        messages = world.listen(kind, f"{NODE}/{name}", TRANSIENT_LOCAL)
        world.wait_for(lambda messages=messages: messages, f"the last message on ~/{name}")
    assert not world.call("list_models").models
    assert world.call("capture", label="none", frames=5).saved == 5


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_gestures_arrive_and_services_respond(world: World, transport: str) -> None:
    node = world.start_node(image_transport=transport)
    gestures = world.gestures()
    camera = start_camera(world, *(["--compressed"] if transport == "compressed" else []))
    wait_for_gestures(world, gestures, node, camera)
    expect_answers(world)


@pytest.mark.parametrize("reliability", [QoSReliabilityPolicy.BEST_EFFORT, QoSReliabilityPolicy.RELIABLE])
def test_each_subscription_receives_each_camera(world: World, reliability: QoSReliabilityPolicy) -> None:
    """Over DDS a reliable subscription does not match a best-effort camera, nor a transient local one a volatile camera."""
    node = world.start_node(image_reliability="reliable", image_durability="transient_local")
    gestures, diagnostics = world.gestures(), world.diagnostics()
    offered = QoSProfile(depth=5, reliability=reliability, durability=QoSDurabilityPolicy.VOLATILE)
    camera = world.peer.create_publisher(Image, CAMERA, offered)
    world.wait_for(lambda: camera.get_subscription_count() > 0, "the node subscribes", node)
    world.gesture_of(camera, raw(IMAGE, "rgb8"), gestures)
    world.wait_for(lambda: diagnostics.value("publishers on it") == "1", "the camera on /diagnostics", node)
    assert "incompatible" not in diagnostics.status().message + node.output()


def test_node_works_on_without_a_router_and_is_found_again_with_a_new_one(world: World) -> None:
    node = world.start_node()
    camera = start_camera(world)
    gestures = world.gestures()
    wait_for_gestures(world, gestures, node, camera)
    world.router.kill()
    wait_for_gestures(world, gestures, node, camera)
    assert not world.call("list_models").models
    world.start_router()
    late = world.start_camera("--rate", "15", name="late")
    images = world.listen(Image, f"{NAMESPACE}/late/image_raw")
    world.wait_for(lambda: images, "images of a camera that was started later", node, late, timeout=RECONNECTED_AFTER)
    wait_for_gestures(world, gestures, node, camera)


def test_node_that_starts_before_the_router_is_found(world: World) -> None:
    world.router.kill()
    node = world.launch_node()
    node.wait_for_output("Unable to connect to a Zenoh router")
    world.start_router()
    world.wait_for(
        world.client("list_models").service_is_ready, "the services of the node", node, timeout=RECONNECTED_AFTER
    )
    gestures = world.gestures()
    camera = start_camera(world)
    wait_for_gestures(world, gestures, node, camera)
    expect_answers(world)


def test_programs_end_in_time_without_a_router(world: World) -> None:
    programs = [world.start_node(), start_camera(world)]
    gestures = world.gestures()
    wait_for_gestures(world, gestures, *programs)
    world.router.kill()
    for program in programs:
        assert program.end(signal.SIGTERM) == 0, program.output()


def open_page(world: World) -> Viewer:
    """Starts the page, and opens it."""
    return Viewer(start_page(world)[1])


def expect_page(viewer: Viewer, timeout: float = 20.0) -> None:
    """The page shows all of the node, and calls its services."""

    def is_complete(viewer: Viewer) -> bool:
        is_there = viewer.state.get("node", {}).get("present") and viewer.gestures
        return is_there and names <= set(viewer.state) and bool(viewer.jpeg)

    names = {"node", "cameras", "model", "dataset", "training", "recording", "parameters", "diagnostics"}
    viewer.wait_for(is_complete, "the state of the node, a picture and a gesture", timeout)
    assert viewer.site.call("capture", label="thumbs_up", frames=3)["saved"] == 3


def test_page_shows_the_node_and_calls_its_services(world: World) -> None:
    world.start_node()
    start_camera(world)
    with open_page(world) as viewer:
        expect_page(viewer)


def test_robots_behind_nat_are_reached_through_a_router(robots: RobotWorld) -> None:
    """The page is on the server; Zenoh's threads in this process are not on any of the machines."""
    for robot in ROBOTS:
        robots.network.set(robot, delay=0.02)
    robots.launch_node(image_transport="compressed")
    start_camera(robots, "--compressed")
    with open_page(robots) as viewer:
        expect_page(viewer)
        robots.router.kill()
        viewer.wait_for(lambda viewer: not viewer.state["node"]["present"], "the page has lost the node")
        robots.start_router()
        expect_page(viewer, timeout=RECONNECTED_AFTER)
