"""What scripts/setup.sh installs for GPUs, by what nvidia-smi says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).resolve().parents[2] / "scripts" / "setup.sh"
NAME = "NVIDIA GeForce RTX"


def choice(directory: Path, nvidia_smi: str | None, *options: str) -> str:
    """The first line of a dry run with an nvidia-smi that is a shell script, or without one."""
    # Without the directories that may have a real one.
    for tool in ("bash", "cat", "dirname", "head", "sort", "uname"):
        (directory / tool).symlink_to(next(Path(each) / tool for each in ("/usr/bin", "/bin") if (Path(each) / tool).exists()))
    if nvidia_smi is not None:
        program = directory / "nvidia-smi"
        program.write_text(f"#!/bin/bash\n{nvidia_smi}\n")
        program.chmod(0o755)
    environment = {"PATH": str(directory), "HOME": os.environ["HOME"], "THUMB_GESTURE_ENVIRONMENT": str(directory)}
    done = subprocess.run(
        ["bash", str(SETUP), "--dry-run", *options], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[0].removeprefix("setup: ")


@pytest.mark.parametrize(
    ("driver", "capability", "expected"),
    [
        ("580.159", "9.0", "libtorch and ONNX Runtime with CUDA 13 for the NVIDIA GeForce RTX with driver 580.159"),
        ("580.65", "8.9", "and TensorRT for RTX"),
        ("595.1.3", "12.1", "and TensorRT for RTX"),
        ("580.64.9", "8.9", "ONNX Runtime with CUDA 12 "),
        ("535.183.01", "8.6", "with driver 580.65 or later the GPU"),
        ("590.10", "7.0", "trainings use the CPU"),
        ("525.59", "8.6", "for the CPU: CUDA 12 needs driver 525.60"),
        ("535.183", "5.2", "for the CPU: CUDA 12 needs driver 525.60 and compute capability 6.0"),
        ("[N/A]", "8.7", "for the CPU: nvidia-smi does not say driver and compute capability"),
    ],
)
def test_setup_chooses_by_driver_and_compute_capability(
    tmp_path: Path, driver: str, capability: str, expected: str
) -> None:
    assert expected in choice(tmp_path, f'echo "{driver}, {capability}, {NAME}"')


def test_setup_without_a_usable_gpu_is_for_the_cpu(tmp_path: Path) -> None:
    failing = 'echo "NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver."; exit 9'
    for number, nvidia_smi in enumerate((None, failing)):
        (directory := tmp_path / str(number)).mkdir()
        assert choice(directory, nvidia_smi).startswith("for the CPU: ")


def test_later_runs_of_setup_keep_the_choice_of_an_option(tmp_path: Path) -> None:
    for number, (kept, options, expected) in enumerate([("no", [], "for the CPU"), ("no", ["--auto-gpu"], "CUDA 12")]):
        (directory := tmp_path / str(number)).mkdir()
        (directory / "gpu").write_text(f"{kept}\n")
        assert expected in choice(directory, f'echo "535.1, 8.6, {NAME}"', *options)


def test_options_of_setup_overrule_the_choice(tmp_path: Path) -> None:
    for number, (option, expected) in enumerate([("--no-gpu", "for the CPU"), ("--gpu", "CUDA 13")]):
        (directory := tmp_path / str(number)).mkdir()
        assert expected in choice(directory, f'echo "535.1, 8.6, {NAME}"', option)
