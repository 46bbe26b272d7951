"""`~/get_type_description` gives the definitions of interfaces, as the nodes of rclpy do."""

import pytest
from type_description_interfaces.srv import GetTypeDescription

from harness import NAMESPACE, World


def test_message_is_described_as_by_rclpy(world: World) -> None:
    node = world.start_node()
    world.gestures()
    topic = f"{NAMESPACE}/thumb_gesture"
    world.wait_for(lambda: world.peer.get_publishers_info_by_topic(topic), "the gesture topic", node)
    request = GetTypeDescription.Request(type_name="thumb_gesture/msg/ThumbGesture")
    request.type_hash = str(world.peer.get_publishers_info_by_topic(topic)[0].topic_type_hash)
    peer = world.peer.create_client(GetTypeDescription, f"{NAMESPACE}/{world.peer.get_name()}/get_type_description")
    expected = world.ask(peer, request, "the description of rclpy")
    assert expected.successful, expected.failure_reason
    described = world.ask(world.client("get_type_description", GetTypeDescription), request, "a description", node)
    assert described.type_description == expected.type_description
    assert list(described.type_sources) == list(expected.type_sources)
    assert (described.successful, described.failure_reason) == (True, "")


def test_service_is_described_by_its_hash(world: World) -> None:
    world.start_node()
    fields = {"type_name": "thumb_gesture/srv/Retrain", "include_type_sources": False}
    refused = world.call("get_type_description", GetTypeDescription, **fields)
    assert not refused.successful and "its hash is RIHS01_" in refused.failure_reason, refused.failure_reason
    hash_of_it = refused.failure_reason.split("its hash is ")[1].split(",")[0]
    described = world.call("get_type_description", GetTypeDescription, type_hash=hash_of_it, **fields)
    names = [field.name for field in described.type_description.type_description.fields]
    assert names == ["request_message", "response_message", "event_message"]
    assert not described.type_sources


@pytest.mark.parametrize("name", ["", "thumb_gesture/msg/Nothing", "x" * 100_000])
def test_unknown_interface_is_refused(world: World, name: str) -> None:
    world.start_node()
    refused = world.call("get_type_description", GetTypeDescription, type_name=name)
    assert not refused.successful and "does not use" in refused.failure_reason
    assert len(refused.failure_reason) < 5000
