"""Quality of service: the node receives images of every publisher, or names an incompatible one with a fix."""

from __future__ import annotations

import random

import numpy
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.duration import Duration
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image

import zenoh_router
from harness import BEST_EFFORT, CAMERA, IS_JAZZY, NAMESPACE, PROFILE_VARIABLE, REPOSITORY, World
from images import raw

RELIABLE = QoSProfile(depth=5)
TRANSIENT_LOCAL = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
IMAGE = numpy.full((24, 32, 3), 128, numpy.uint8)
needs_dds = pytest.mark.skipif(zenoh_router.is_in_use(), reason="with Zenoh every QoS matches; see tests/zenoh")


@pytest.mark.parametrize("offered", [RELIABLE, BEST_EFFORT, TRANSIENT_LOCAL])
def test_default_qos_is_compatible_with_every_camera(trained_world: World, offered: QoSProfile) -> None:
    trained_world.start_node()
    gestures = trained_world.gestures()
    publisher = trained_world.peer.create_publisher(Image, CAMERA, offered)
    trained_world.wait_for(lambda: publisher.get_subscription_count() > 0, "the node subscribes")
    trained_world.gesture_of(publisher, raw(IMAGE, "rgb8"), gestures)


@needs_dds
@pytest.mark.parametrize("profile", ["fastdds.xml", "fastdds_network.xml" if IS_JAZZY else "fastdds3_network.xml"])
def test_profiles_are_understood_by_the_middleware(world: World, profile: str) -> None:
    world.env[PROFILE_VARIABLE] = str(REPOSITORY / "config" / profile)
    camera = world.start_camera()
    frames = world.listen(Image, CAMERA)
    world.wait_for(lambda: frames, "a frame", camera)
    assert "XMLPARSER" not in camera.output()


@pytest.mark.parametrize(
    ("parameters", "kind", "offered", "advice"),
    [
        pytest.param(
            {"image_reliability": "reliable"}, Image, BEST_EFFORT, "set image_reliability: best_effort", marks=needs_dds
        ),
        pytest.param(
            {"image_durability": "transient_local"}, Image, RELIABLE, "set image_durability: volatile", marks=needs_dds
        ),
        ({}, CompressedImage, RELIABLE, "set image_transport, or remap"),
    ],
)
def test_incompatible_camera_is_named_with_a_fix(
    world: World, parameters: dict[str, str], kind: type, offered: QoSProfile, advice: str
) -> None:
    node = world.start_node(**parameters)
    diagnostics = world.diagnostics()
    world.peer.create_publisher(kind, CAMERA, offered)

    def is_named() -> bool:
        status = diagnostics.status()
        # DDS may know a publisher before the name of its node.
        return status is not None and advice in status.message and f"{NAMESPACE}/peer publishes" in status.message

    world.wait_for(is_named, advice, node)
    assert diagnostics.level() == ord(DiagnosticStatus.WARN)
    assert diagnostics.value("publishers on it") == "1"
    world.spin_for(2.5)
    assert node.output().count(f"incompatible publisher on {CAMERA}: {NAMESPACE}/peer") == 1, "logged once"


@needs_dds
def test_subscription_follows_the_qos_of_the_publishers(trained_world: World) -> None:
    world = trained_world
    node = world.start_node()
    diagnostics, gestures = world.diagnostics(), world.gestures()

    def expect(reliability: str, durability: str) -> None:
        world.wait_for(
            lambda: (diagnostics.value("reliability"), diagnostics.value("durability")) == (reliability, durability),
            f"{reliability} and {durability}",
            node,
        )

    expect("best_effort", "volatile")
    camera = world.peer.create_publisher(Image, CAMERA, RELIABLE)
    expect("reliable", "volatile")
    world.gesture_of(camera, raw(IMAGE, "rgb8"), gestures)

    other = world.peer.create_publisher(Image, CAMERA, BEST_EFFORT)
    expect("best_effort", "volatile")
    world.gesture_of(other, raw(IMAGE, "rgb8"), gestures)
    world.peer.destroy_publisher(other)
    expect("reliable", "volatile")

    world.peer.destroy_publisher(camera)
    world.wait_for(lambda: diagnostics.value("publishers on it") == "0", "no publisher", node)
    assert diagnostics.value("reliability") == "reliable", "the camera may come back"
    camera = world.peer.create_publisher(Image, CAMERA, TRANSIENT_LOCAL)
    expect("reliable", "transient_local")
    world.peer.destroy_publisher(camera)
    camera = world.peer.create_publisher(Image, CAMERA, BEST_EFFORT)
    expect("best_effort", "volatile")
    world.gesture_of(camera, raw(IMAGE, "rgb8"), gestures)
    assert node.output().count(f"subscribed to {CAMERA} with") == 5, "only when the publishers have changed"


@needs_dds
def test_change_of_the_qos_loses_and_repeats_no_frame(trained_world: World) -> None:
    world = trained_world
    node = world.start_node()
    diagnostics = world.diagnostics()
    camera = world.camera_publisher(reliable=True)
    world.wait_for(lambda: diagnostics.value("reliability") == "reliable", "a reliable subscription", node)
    sent = diagnostics.count("frames received")
    other = world.peer.create_publisher(Image, CAMERA, BEST_EFFORT)
    for reliability in ("best_effort", "reliable"):
        image = raw(IMAGE, "rgb8")

        def publish(image: Image = image) -> None:
            nonlocal sent
            sent += 1
            image.header.stamp = world.peer.get_clock().now().to_msg()
            camera.publish(image)

        world.publish_until(
            lambda: diagnostics.value("reliability") == reliability, reliability, publish, 0.05, node
        )
        # The previous subscription ends with the first frame of the new one.
        frames = sent + 10
        world.publish_until(lambda: sent == frames, "frames after the change", publish, 0.05, node)
        world.wait_for(lambda: diagnostics.count("frames received") == sent, f"{sent} frames", node)
        if other is not None:
            world.peer.destroy_publisher(other)
            other = None


@pytest.mark.parametrize(
    ("offered", "remedy"),
    [pytest.param(BEST_EFFORT, "config/fastdds.xml", marks=needs_dds), (RELIABLE, "a lower rate")],
)
def test_frames_that_are_lost_on_the_way_are_a_warning(world: World, offered: QoSProfile, remedy: str) -> None:
    # The frames are published more slowly than their stamps say.
    node = world.start_node(stale_timeout=60.0)
    diagnostics = world.diagnostics()
    publisher = world.peer.create_publisher(Image, CAMERA, offered)
    world.wait_for(lambda: publisher.get_subscription_count() > 0, "the node subscribes")
    chance = random.Random(1)
    image, stamp = raw(IMAGE, "rgb8"), world.peer.get_clock().now()

    def publish() -> None:
        """A frame that the middleware delivers is published, the others are not."""
        nonlocal stamp
        stamp += Duration(nanoseconds=33_000_000)
        if chance.random() < share:
            image.header.stamp = stamp.to_msg()
            publisher.publish(image)

    share = 0.4
    world.publish_until(
        lambda: (status := diagnostics.status()) and "of the frames on" in status.message,
        "the loss on /diagnostics",
        publish,
        0.03,
        node,
    )
    assert diagnostics.level() == ord(DiagnosticStatus.WARN)
    assert remedy in diagnostics.status().message
    share = 1.0
    world.publish_until(
        lambda: "of the frames on" not in diagnostics.status().message, "the end of the loss", publish, 0.03, node
    )


@needs_dds
def test_transient_local_camera_delivers_its_last_frame(trained_world: World) -> None:
    publisher = trained_world.peer.create_publisher(Image, CAMERA, TRANSIENT_LOCAL)
    image = raw(IMAGE, "rgb8", frame_id="published before")
    publisher.publish(image)
    gestures = trained_world.gestures()
    # The node subscribes after loading the model, so that it can classify the first frame.
    trained_world.start_node()
    trained_world.wait_for(lambda: gestures, "a gesture for the frame that was published before")
    assert gestures[0].header.frame_id == "published before"


def test_messages_name_the_remapped_topic(world: World) -> None:
    node = world.start_node("-r", "camera/image_raw:=/eye/image")
    diagnostics = world.diagnostics()
    world.wait_for(lambda: diagnostics.value("camera topic") == "/eye/image", "the topic's name", node)
    publisher = world.peer.create_publisher(Image, "/eye/image", BEST_EFFORT)
    world.wait_for(lambda: publisher.get_subscription_count() > 0, "the node subscribes")
    world.wait_for(lambda: diagnostics.value("publishers on it") == "1", "the publisher in the diagnostics")
    bad = raw(IMAGE, "rgb8")
    bad.encoding = "32FC1"
    world.publish_until(
        lambda: "bad frame on /eye/image" in node.output(),
        "the log names the topic of the bad frame",
        lambda: publisher.publish(bad),
        0.1,
    )
