"""The program that `make demo` runs."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from harness import REPOSITORY, World

DEMO = [sys.executable, str(REPOSITORY / "scripts" / "demo.py")]


def test_demo_trains_and_classifies(world: World) -> None:
    kept = world.directory / "kept"
    demo = world.start(*DEMO, "--watch", "5", "--keep", str(kept))
    assert demo.wait(120.0) == 0, demo.output()
    for part in ["Capture", "Train", "Watch", "Result", "onnx/", "alexnet-", "held out", "median"]:
        assert part in demo.output(), part
    assert {directory.name for directory in (kept / "dataset").iterdir()} == {"none", "thumbs_down", "thumbs_up"}
    assert list((kept / "store" / "models").iterdir())


def test_interrupted_demo_leaves_no_processes_and_files(world: World) -> None:
    demo = world.start(*DEMO, TMPDIR=str(world.directory))
    world.wait_for(lambda: "Capture" in demo.output(), "the demo captures", demo)
    world.wait_for(lambda: len(demo.children()) == 2, "camera and node run")
    children = demo.children()
    assert demo.end(signal.SIGINT, 10.0) == 130
    assert "Traceback" not in demo.output()
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert not list(world.directory.glob("thumb_gesture_demo_*"))


def test_missing_photo_directory_is_named_in_the_error(world: World) -> None:
    demo = world.start(*DEMO, "--photos", str(world.directory / "nowhere"))
    assert demo.wait(10.0) == 1
    assert "nowhere" in demo.output() and "Traceback" not in demo.output()


def test_demo_fails_and_names_the_node_when_it_is_killed(world: World) -> None:
    demo = world.start(*DEMO)
    world.wait_for(lambda: "Capture" in demo.output(), "the demo captures", demo)
    world.wait_for(lambda: len(demo.children()) == 2, "camera and node run")
    os.kill(next(child for child in demo.children() if name_of(child) == "thumb_gesture_n"), signal.SIGKILL)
    assert demo.wait(20.0) == 1
    assert "thumb_gesture_node has ended" in demo.output() and "Traceback" not in demo.output()


def name_of(pid: int) -> str:
    """Name of a process, of which Linux keeps 15 characters."""
    return Path(f"/proc/{pid}/comm").read_text().strip()
