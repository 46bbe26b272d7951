"""The node ends on SIGINT and SIGTERM, in any activity, within a time limit."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from thumb_gesture.msg import ThumbGesture

from harness import IN_NAMESPACE, Program, World, is_alive

SIGNALS = [signal.SIGINT, signal.SIGTERM]
SHUTDOWN_TIMEOUT = 2.0


@pytest.mark.parametrize("with_signal", SIGNALS)
def test_node_without_model_ends(world: World, with_signal: signal.Signals) -> None:
    node = world.start_node()
    assert node.end(with_signal, SHUTDOWN_TIMEOUT) == 0


@pytest.mark.parametrize("with_signal", SIGNALS)
def test_classifying_node_ends(trained_world: World, with_signal: signal.Signals) -> None:
    node = trained_world.start_node()
    trained_world.start_camera("--rate", "60")
    gestures = trained_world.gestures()
    trained_world.wait_for(lambda: len(gestures) > 10, "gestures")
    assert node.end(with_signal, SHUTDOWN_TIMEOUT) == 0
    assert "panicked" not in node.output()
    trained_world.wait_for(lambda: gestures[-1].reason == "inactive", "a last gesture with the reason inactive")
    assert (gestures[-1].gesture, gestures[-1].stable) == (ThumbGesture.UNKNOWN, False)


@pytest.mark.parametrize("with_signal", SIGNALS)
def test_capturing_node_ends(world: World, with_signal: signal.Signals) -> None:
    node = world.start_node()
    world.start_camera("--rate", "10")
    world.send("capture", label="none", frames=1000)
    world.wait_for(lambda: list(world.dataset.rglob("*.jpg")), "a frame is saved")
    assert node.end(with_signal, SHUTDOWN_TIMEOUT) == 0
    assert not list(world.dataset.rglob(".*")), "no partially written file is left"


@pytest.mark.parametrize("with_signal", [*SIGNALS, signal.SIGKILL])
def test_training_process_ends_with_the_node(trained_world: World, with_signal: signal.Signals) -> None:
    node = trained_world.start_node()
    statuses = trained_world.trainings()
    assert trained_world.call("retrain", epochs=1000).success
    trained_world.wait_for(lambda: statuses and statuses[-1].progress > 0.0, "the training is under way")
    training_processes = node.children()
    assert len(training_processes) == 1
    expected = -signal.SIGKILL if with_signal == signal.SIGKILL else 0
    assert node.end(with_signal, SHUTDOWN_TIMEOUT) == expected
    trained_world.wait_for(lambda: not is_alive(training_processes[0]), "the training process has ended", timeout=SHUTDOWN_TIMEOUT)


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.2, 0.4, 0.8])
@pytest.mark.parametrize("with_signal", SIGNALS)
def test_starting_node_ends(trained_world: World, with_signal: signal.Signals, delay: float) -> None:
    """At any time after it has installed its signal handlers; before that, the default action of the signal ends it."""
    directories = ["-p", f"store:={trained_world.store}", "-p", f"dataset:={trained_world.dataset}"]
    node = trained_world.start("thumb_gesture_node", *IN_NAMESPACE, *directories)
    trained_world.wait_for(lambda: catches(node, with_signal), "the signal handler of the node", node)
    trained_world.spin_for(delay)
    assert node.end(with_signal, SHUTDOWN_TIMEOUT) == 0
    assert "panicked" not in node.output()
    assert "RCL_RET" not in node.output(), "what is published during the shutdown"


@pytest.mark.parametrize("with_signal", SIGNALS)
def test_repeated_signals_have_no_further_effect(trained_world: World, with_signal: signal.Signals) -> None:
    node = trained_world.start_node()
    trained_world.start_camera("--rate", "60")
    statuses = trained_world.trainings()
    assert trained_world.call("retrain", epochs=1000).success
    trained_world.wait_for(lambda: statuses and statuses[-1].progress > 0.0, "the training is under way")
    (training_process,) = node.children()
    for _ in range(3):
        node.process.send_signal(with_signal)
    assert node.wait(SHUTDOWN_TIMEOUT) == 0
    assert not is_alive(training_process)
    assert "panicked" not in node.output()
    assert not list(trained_world.store.rglob(".draft-*")), "no partially written model is left"


def catches(program: Program, with_signal: signal.Signals) -> bool:
    """Whether a program has a handler for a signal."""
    lines = Path(f"/proc/{program.process.pid}/status").read_text().splitlines()
    caught = next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt")), 0)
    return bool(caught >> (with_signal - 1) & 1)


def test_camera_ends_after_its_last_frame(world: World) -> None:
    camera = world.start_camera("--rate", "50", "--count", "10")
    start = time.monotonic()
    assert camera.wait(5.0) == 0
    assert time.monotonic() - start >= 0.15
