"""The installed programs: which of them load libtorch, and how the command line trains without it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

TRAINS = "thumb_gesture_train"
PROGRAMS = ["photo_camera", "teach_page", "thumb_gesture", "thumb_gesture_node"]


def installed(name: str) -> Path:
    program = shutil.which(name)
    assert program, f"{name} is installed"
    return Path(program)


def libraries(name: str) -> str:
    return subprocess.run(["ldd", installed(name)], check=True, capture_output=True, text=True).stdout


def test_only_the_program_that_trains_loads_libtorch() -> None:
    assert "libtorch" in libraries(TRAINS)
    for name in PROGRAMS:
        assert "libtorch" not in libraries(name), name


@pytest.mark.parametrize("option", ["--help", "--stragety"])
def test_train_passes_its_options_to_the_program_that_trains(option: str) -> None:
    """Its help and its errors are those of `thumb_gesture train`."""
    ours = subprocess.run(["thumb_gesture", "train", option], capture_output=True, text=True)
    trains = subprocess.run([TRAINS, "train", option], capture_output=True, text=True)
    assert (ours.returncode, ours.stdout, ours.stderr) == (trains.returncode, trains.stdout, trains.stderr)
    assert "Usage: thumb_gesture train" in ours.stdout + ours.stderr
    assert "--strategy" in ours.stdout + ours.stderr


def test_missing_program_that_trains_is_named(tmp_path: Path) -> None:
    alone = tmp_path / "thumb_gesture"
    shutil.copy(installed("thumb_gesture"), alone)
    failed = subprocess.run([alone, "train", "--dataset", "d", "--store", "s"], capture_output=True, text=True)
    assert failed.returncode == 1
    assert f"cannot start {tmp_path / TRAINS}" in failed.stderr and "scripts/build.sh" in failed.stderr
