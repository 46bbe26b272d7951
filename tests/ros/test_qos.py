"""Quality of service: the node receives images of every publisher, or names an incompatible one with a fix."""

from __future__ import annotations

import numpy
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from harness import BEST_EFFORT, CAMERA, NAMESPACE, World
from images import raw

RELIABLE = QoSProfile(depth=5)
TRANSIENT_LOCAL = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
IMAGE = numpy.full((24, 32, 3), 128, numpy.uint8)


@pytest.mark.parametrize("offered", [RELIABLE, BEST_EFFORT, TRANSIENT_LOCAL])
def test_default_qos_is_compatible_with_every_camera(trained_world: World, offered: QoSProfile) -> None:
    trained_world.start_node()
    gestures = trained_world.gestures()
    publisher = trained_world.peer.create_publisher(Image, CAMERA, offered)
    trained_world.wait_for(lambda: publisher.get_subscription_count() > 0, "the node subscribes")
    trained_world.gesture_of(publisher, raw(IMAGE, "rgb8"), gestures)


@pytest.mark.parametrize(
    ("parameters", "kind", "offered", "advice"),
    [
        ({"image_reliability": "reliable"}, Image, BEST_EFFORT, "set image_reliability: best_effort"),
        ({"image_durability": "transient_local"}, Image, RELIABLE, "set image_durability: volatile"),
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
        return status is not None and advice in status.message

    world.wait_for(is_named, advice, node)
    assert diagnostics.level() == ord(DiagnosticStatus.WARN)
    assert f"{NAMESPACE}/peer publishes" in diagnostics.status().message
    assert diagnostics.value("publishers on it") == "1"
    world.spin_for(2.5)
    assert node.output().count(f"incompatible publisher on {CAMERA}: {NAMESPACE}/peer") == 1, "logged once"


def test_transient_local_camera_delivers_its_last_frame(trained_world: World) -> None:
    publisher = trained_world.peer.create_publisher(Image, CAMERA, TRANSIENT_LOCAL)
    image = raw(IMAGE, "rgb8", frame_id="published before")
    publisher.publish(image)
    gestures = trained_world.gestures()
    # The node subscribes after loading the model, so that it can classify the first frame.
    trained_world.start_node(image_reliability="reliable", image_durability="transient_local")
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
