"""The node over networks: camera, node and listener on three machines, with delay, loss, and a link that is interrupted."""

from __future__ import annotations

import time

import pytest
from thumb_gesture.msg import DatasetSummary, ModelInfo, ThumbGesture, TrainingStatus

from harness import NODE, TRANSIENT_LOCAL, Program, nanoseconds_of
from namespaces import ADDRESSES, NetworkWorld

DELAY = 0.02
STALE_TIMEOUT = 1.0
# For the processes of the test, on a busy machine.
SLACK = 1.5
RECOVERY = 5.0


def start(world: NetworkWorld, transport: str) -> Program:
    """Starts node and camera; the gesture is that of the drawn hand."""
    node = world.start_node(image_transport=transport, stale_timeout=STALE_TIMEOUT)
    options = ["--compressed"] if transport == "compressed" else []
    world.start_camera("--rate", "15", "--show", "thumbs_up", *options)
    return node


def is_seen(gestures: list[ThumbGesture]) -> bool:
    """Whether the last gesture is of a frame that was believed."""
    return bool(gestures) and gestures[-1].reason != "stale"


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_gestures_arrive_over_the_network(world: NetworkWorld, transport: str) -> None:
    world.network.set("camera", delay=DELAY)
    node = start(world, transport)
    gestures, diagnostics = world.gestures(), world.diagnostics()
    world.wait_for(lambda: len(gestures) > 20, "gestures", node)
    world.wait_for(lambda: diagnostics.value("reliability") == "reliable", "a reliable subscription", node)
    assert gestures[-1].reason != "stale"
    assert nanoseconds_of(gestures[-1].age) >= DELAY * 1e9


def test_lost_packets_are_sent_again(world: NetworkWorld) -> None:
    """Compressed frames have some 10 packets each: without repetition, a third of them would be lost."""
    world.network.set("camera", delay=DELAY, loss=0.05)
    node = start(world, "compressed")
    diagnostics = world.diagnostics()
    world.wait_for(lambda: diagnostics.count("frames received") > 15, "frames", node)
    key = "share of the last frames that did not arrive, by their stamps"
    shares: list[float] = []
    for _ in range(6):
        diagnostics.arrays.clear()
        world.wait_for(lambda: diagnostics.value(key), "the share of lost frames", node)
        shares.append(float(diagnostics.value(key)))
    assert sorted(shares)[len(shares) // 2] <= 0.1, shares


def test_interrupted_link_makes_the_gesture_stale_and_recovers(world: NetworkWorld) -> None:
    node = start(world, "compressed")
    gestures = world.gestures()
    world.wait_for(lambda: len(gestures) > 20, "gestures", node)
    world.network.set("camera", is_up=False)
    began = time.monotonic()
    world.wait_for(lambda: gestures[-1].reason == "stale", "a stale gesture", node)
    assert time.monotonic() - began < STALE_TIMEOUT + SLACK
    world.spin_for(10.0 - (time.monotonic() - began))
    assert gestures[-1].reason == "stale"
    world.network.set("camera")
    world.wait_for(lambda: is_seen(gestures), "a gesture after the interruption", node, timeout=RECOVERY)


def test_services_and_late_subscribers_are_answered_in_spite_of_loss(world: NetworkWorld) -> None:
    world.network.set("listener", delay=DELAY, loss=0.05)
    node = start(world, "compressed")
    gestures = world.gestures()
    # Until then the node may not have discovered the clients.
    world.wait_for(lambda: len(gestures) > 20, "gestures", node)
    late = {
        "model": ModelInfo,
        "dataset": DatasetSummary,
        "training": TrainingStatus,
    }
    for name, kind in late.items():
        messages = world.listen(kind, f"{NODE}/{name}", TRANSIENT_LOCAL)
        world.wait_for(lambda messages=messages: messages, f"the last message on ~/{name}", node)
    for name in ("list_models", "list_frames", "undo_edit"):
        began = time.monotonic()
        world.call(name)
        assert time.monotonic() - began < 3.0, name
    assert world.call("capture", label="none", frames=5).saved == 5


@pytest.fixture
def static_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """All machines by their addresses."""
    monkeypatch.setenv("ROS_STATIC_PEERS", ";".join(ADDRESSES.values()))


@pytest.mark.usefixtures("static_peers")
def test_static_peers_are_found_without_multicast(world: NetworkWorld) -> None:
    for machine in ADDRESSES:
        world.network.set(machine, has_multicast=False)
    node = start(world, "compressed")
    gestures = world.gestures()
    world.wait_for(lambda: is_seen(gestures), "a gesture", node)


def test_services_answer_after_an_interruption(world: NetworkWorld) -> None:
    node = start(world, "compressed")
    gestures = world.gestures()
    # Until then the node may not have discovered the clients.
    world.wait_for(lambda: len(gestures) > 20, "gestures", node)
    world.call("list_models")
    world.network.set("listener", is_up=False)
    interrupted = world.send("list_models")
    world.spin_for(5.0)
    assert not interrupted.done()
    world.network.set("listener")
    world.wait_for(interrupted.done, "the response to a request that was sent during the interruption")
    world.call("list_models", timeout=RECOVERY)
