"""The node: killed while it works, called from all sides, and with cameras that freeze."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from sensor_msgs.msg import Image
from thumb_gesture.msg import DatasetSummary

from harness import CAMERA, LABELS, NODE, REPOSITORY, TRANSIENT_LOCAL, World, free_domain
from images import raw
from operations import Broken, Operations, command, is_hidden, run, tree
from report import Budget, Result
from test_freshness import FROZEN, PERIOD, LiveCamera

STALE_TIMEOUT = 0.4
# Of each way.
FREEZES = 100
HOLD_TIME = 0.1
# Of the processes and of this program, not of the node: two cores run all of them.
DELAY = 0.5
# rclpy answers no more at once.
AT_ONCE = 8
TEXTS = ["", "thumbs_up", "../../etc", "a/b", ".hidden", "\x1b[31mred\x1b[0m", "x" * 100_000, "ünï", "none\n", "\x7f", "con\r\nlog"]


@contextmanager
def world(root: Path) -> Iterator[World]:
    """A ROS domain, with the dataset and the store in the directory of a trial."""
    with TemporaryDirectory() as directory, free_domain() as domain:
        world = World(Path(directory), domain)
        world.dataset, world.store = root / "dataset", root / "store"
        try:
            yield world
        finally:
            world.leave()


class Noise:
    """A camera with images of noise."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.frames = world, 0
        pixels = numpy.random.default_rng(seed).integers(0, 256, (48, 64, 3), numpy.uint8)
        self.image = raw(pixels, "rgb8")
        self.publisher = world.peer.create_publisher(Image, CAMERA, 5)
        world.peer.create_timer(1 / 30, self.publish)

    def publish(self) -> None:
        """Publishes the next frame."""
        self.frames += 1
        self.image.data[self.frames % len(self.image.data)] ^= 0x55
        self.image.header.stamp = self.world.peer.get_clock().now().to_msg()
        self.publisher.publish(self.image)


def kill_while_it_captures(operations: Operations, budget: Budget, seed: int) -> Result:
    """Kills the node during captures; the next start leaves complete frames only."""
    result, choose, saved = Result("kills of a node that captures"), random.Random(seed), 0
    for number in budget.trials():
        result.trials += 1
        root = operations.start()
        try:
            # A domain of its own for each node: a killed one is still discovered for a while.
            with world(root) as here:
                Noise(here, seed)
                here.start_node(image_reliability="reliable", recognizer="image")
                for label in LABELS:
                    here.send("capture", label=label, frames=50)
                here.spin_for(choose.uniform(0.1, 1.0))
            with world(root) as here:
                here.start_node()
                # Published after what was not complete is removed.
                summaries = here.listen(DatasetSummary, f"{NODE}/dataset", TRANSIENT_LOCAL)
                here.wait_for(lambda summaries=summaries: summaries, "the summary of the dataset")
            files = tree(root / "dataset")
            hidden = [path for path in files if is_hidden(path)]
            if hidden:
                raise Broken(f"left over: {hidden}")
            saved += sum(1 for path in files if path.endswith(".jpg"))
            evaluate = ["evaluate", "--store", str(root / "store"), "--dataset", str(root / "dataset"), "--recognizer", "image"]
            skipped = json.loads(run(command(*evaluate, "--json")).stdout)["warnings"]
            if skipped:
                raise Lost(f"incomplete frames: {skipped}")
            operations.check_template()
        except (Broken, AssertionError) as broken:
            result.fault(f"trial {number} of seed {seed}", broken)
    result.note = f"{saved} frames saved"
    if saved == 0:
        result.fault(f"seed {seed}", "no frame was saved before a kill")
    return result


def call_from_all_sides(operations: Operations, budget: Budget, seed: int) -> Result:
    """Calls every service with valid and invalid requests, several at once, while a camera runs."""
    result, choose = Result("service calls in storms"), random.Random(seed)
    with world(operations.start()) as here:
        Noise(here, seed)
        node = here.start_node(image_reliability="reliable", recognizer="image")
        gestures = here.gestures()
        requests = requests_of(here, operations, choose)
        for _ in budget.trials():
            gestures.clear()
            answers = [choose.choice(requests)() for _ in range(AT_ONCE)]
            result.trials += len(answers)
            try:
                here.wait_for(lambda answers=answers: all(answer.done() for answer in answers), "the responses", node)
                for label in ("configure", "activate"):
                    here.call("change_state", ChangeState, transition=Transition(label=label))
                here.wait_for(lambda: len(gestures) > 3, "gestures", node)
            except AssertionError as broken:
                result.fault(f"seed {seed}", f"{broken}\n{node.output()[-3000:]}")
                return result
        log = node.output()
        if "panicked" in log or any(ord(letter) < 32 and letter not in "\n" for letter in log):
            result.fault(f"seed {seed}", f"a panic or control characters in the log:\n{log[-3000:]!r}")
        try:
            assert node.end(timeout=20.0) == 0, "the node does not end with status 0"
        except AssertionError as broken:
            result.fault(f"seed {seed}", broken)
        outside = [path for path in tree(here.dataset.parent) if path.split("/")[0] not in KNOWN]
        if outside:
            result.fault(f"seed {seed}", f"files outside the dataset: {outside}")
    return result


# What may be in the directory of a trial.
KNOWN = {"model.zip", "dataset", "store", "bag", "bag.labels.yaml", "3.pth", "1000.pth"}
# Those that say where to write are left out, and the clock, which would stop the camera.
PARAMETERS = [
    line.split(":")[0].strip()
    for line in (REPOSITORY / "config" / "thumb_gesture.yaml").read_text().splitlines()
    if line.startswith("    ") and line.split(":")[0].strip() not in {"dataset", "store", "use_sim_time"}
]


def requests_of(world: World, operations: Operations, choose: random.Random) -> list[Callable[[], Any]]:
    """Functions that send a random request each."""

    def text() -> str:
        return choose.choice(TEXTS)

    def parameter() -> Parameter:
        kind = choose.choice([1, 2, 3, 4])
        number = choose.choice([-1.0, 0.0, 0.3, 0.6, 1.0, 1e300, float("nan"), float("inf")])
        value = ParameterValue(type=kind, bool_value=choose.random() < 0.5, double_value=number)
        value.integer_value, value.string_value = choose.choice([-1, 0, 1, 5, 2**62]), text()
        return Parameter(name=choose.choice([*PARAMETERS, text()])[:1000], value=value)

    def change() -> Any:
        transition = Transition(id=choose.randrange(12), label=choose.choice(["", "deactivate", "cleanup", text()]))
        if transition.id in (5, 6, 7) or transition.label == "shutdown":
            transition.id = 99
        return world.send("change_state", ChangeState, transition=transition)

    return [
        lambda: world.send("capture", label=choose.choice([*LABELS, text()]), frames=choose.choice([0, 1, 2, 10**9])),
        lambda: world.send("activate_model", model_id=choose.choice([*operations.models, text()])),
        lambda: world.send("list_models"),
        lambda: world.send("get_report", model_id=choose.choice([*operations.models, text()])),
        lambda: world.send("get_results", model_id=choose.choice([*operations.models, text()])),
        lambda: world.send("compare_models", model_ids=[text(), *operations.models[:1]]),
        lambda: world.send("delete_model", model_id=choose.choice([operations.models[0], text()])),
        lambda: world.send("record", action=choose.randrange(4), label=choose.choice([*LABELS, text()]), id=text()),
        lambda: world.send("list_frames", label=choose.choice([*LABELS, text()]), limit=choose.choice([0, 5, 10**9])),
        lambda: world.send("add_frame", label=choose.choice([*LABELS, text()]), burst=text(), image=text().encode(errors="replace")),
        lambda: world.send("get_frame", frame=choose.choice(["none/0.png", text()])),
        lambda: world.send("delete_frames", frames=[choose.choice(["none/0.png", text()])]),
        lambda: world.send("relabel_frames", frames=["thumbs_up/0.png"], label=choose.choice([*LABELS, text()])),
        lambda: world.send(choose.choice(["undo_edit", "redo_edit", "clear_trash", "delete_last_burst"])),
        lambda: world.send("retrain", seed=choose.randrange(100), epochs=choose.choice([0, 1, 10**9])),
        lambda: world.send("cancel_training"),
        lambda: world.send("get_parameters", GetParameters, names=[text()[:1000] or "threshold"]),
        lambda: world.send("set_parameters", SetParameters, parameters=[parameter()]),
        change,
    ]


def freeze_cameras(operations: Operations, budget: Budget, seed: int) -> Result:
    """Freezes a camera in each way in turn: its gesture must become stale in time, every time."""
    result, choose = Result("cameras that freeze", goal=FREEZES * len(FROZEN)), random.Random(seed)
    slowest = 0.0
    with world(operations.start()) as here:
        parameters = {"threshold": 0.0, "margin": 0.0, "hold_time": HOLD_TIME, "stale_timeout": STALE_TIMEOUT}
        node = here.start_node(image_reliability="reliable", recognizer="image", **parameters)
        gestures, camera = here.gestures(), LiveCamera(here)
        for number in budget.trials():
            way = list(FROZEN)[number % len(FROZEN)]
            result.trials += 1
            try:
                here.wait_for(lambda: gestures and gestures[-1].stable, "a stable gesture", node)
                here.spin_for(choose.uniform(0.0, 0.2))
                camera.change = FROZEN[way][0]
                frozen = time.monotonic()
                here.wait_for(lambda: gestures[-1].reason == "stale", "a stale gesture", node)
                slowest = max(slowest, time.monotonic() - frozen)
                if time.monotonic() - frozen > STALE_TIMEOUT + PERIOD + DELAY:
                    raise AssertionError(f"stale after {time.monotonic() - frozen:.2f} s")
            except AssertionError as broken:
                result.fault(f"{way}, trial {number} of seed {seed}", broken)
            camera.change = lambda _: None
            gestures.clear()
    result.note = f"stale within {slowest:.2f} s at a timeout of {STALE_TIMEOUT} s, in {len(FROZEN)} ways"
    return result


def soak(budget: Budget) -> Result:
    """Runs tests/ros/test_soak.py for the time: trainings, changes of model and the lifecycle, at 30 Hz."""
    result = Result("seconds of a node at work")
    # Before, the test trains its first model.
    seconds = max(60, round(budget.left()) - 60)
    environment = os.environ | {"THUMB_GESTURE_SOAK_SECONDS": str(seconds)}
    command = [sys.executable, "-m", "pytest", "-q", "-rP", str(REPOSITORY / "tests" / "ros" / "test_soak.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    result.trials = seconds
    result.note = next((line for line in done.stdout.splitlines() if "round trips" in line), "")
    if done.returncode != 0:
        result.fault("the soak test", done.stdout[-5000:])
    return result
