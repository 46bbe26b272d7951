"""Many recordings: parts that are evaluated apart add up to the whole, with Ray as well, and also if a worker dies."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
from pathlib import Path

import pytest

from conftest import TrainedModel
from harness import LABELS, REPOSITORY, Program, World
from requirement import skip_or_fail

EXAMPLE = REPOSITORY / "examples" / "evaluate_recordings" / "evaluate_recordings.py"
BAGS_PER_LABEL = 4
REPRODUCIBLE = ["--threads", "1", "--precision", "fp32", "--recognizer", "image"]


@pytest.fixture
def recordings(world: World, trained: TrainedModel) -> Path:
    """A directory of bags, each of one label, and one that is none."""
    directory = world.directory / "recordings"
    for label in LABELS:
        (directory / label).mkdir(parents=True)
        for rate in range(10, 10 + BAGS_PER_LABEL):
            bag = directory / label / f"{label}_{rate}"
            export = world.start("thumb_gesture", "bag", "export", str(bag), "--dataset", str(trained.dataset), "--label", label, "--rate", str(rate))
            assert export.wait(60.0) == 0, export.output()
    (directory / "broken.mcap").write_bytes(b"no recording")
    return directory


def test_a_folder_is_evaluated_with_ray_although_a_worker_dies(world: World, trained: TrainedModel, recordings: Path) -> None:
    if not importlib.util.find_spec("ray"):
        skip_or_fail("examples", "Ray is not installed; scripts/setup.sh --tests installs it")
    whole, merged = world.directory / "whole.json", world.directory / "merged.json"
    bags = sorted(str(path) for path in recordings.glob("*/*") if path.is_dir()) + [str(recordings / "broken.mcap")]
    evaluate = ["thumb_gesture", "bag", "evaluate", "--expect-beside", "--summary", str(whole), "--store", str(trained.store)]
    alone = world.start(*evaluate, *REPRODUCIBLE, *bags)
    assert alone.wait(120.0) == 1, "the broken one is an error"
    found = json.loads(whole.read_text())
    assert found["totals"]["bags"] == len(bags) and found["totals"]["failed"] == 1
    assert found["totals"]["accuracy"] > 0.7

    options = ["--store", str(trained.store), "--output", str(merged), "--shards", "6", "--", "--recognizer", "image"]
    ray = world.start("python3", str(EXAMPLE), str(recordings), *options, RAY_TMPDIR="/tmp", RAY_USAGE_STATS_ENABLED="0")
    killed: list[int] = []

    def is_killed() -> bool:
        for worker in workers_of(ray):
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)
                return True
        return False

    world.wait_for(is_killed, "a worker that evaluates", ray, timeout=60.0)
    assert ray.wait(120.0) == 0, ray.output()
    assert ray.output().count(" of 6 is done") == 6, ray.output()
    assert merged.read_bytes() == whole.read_bytes()


def workers_of(program: Program) -> list[int]:
    """Processes of Ray below a program that evaluate a shard."""
    parents, titles = {}, {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            titles[int(process.name)] = (process / "cmdline").read_bytes()

    def is_below(pid: int) -> bool:
        return pid == program.process.pid or (pid in parents and is_below(parents[pid]))

    return [pid for pid, title in titles.items() if title.startswith(b"ray::evaluate") and is_below(pid)]
