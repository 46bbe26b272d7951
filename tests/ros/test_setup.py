"""What scripts/setup.sh installs: for GPUs by what nvidia-smi says, and for which distribution of ROS 2."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SETUP = SCRIPTS / "setup.sh"
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


@pytest.mark.parametrize("command", [f"{SETUP} --dry-run", f". {SCRIPTS / 'env.sh'}"])
def test_unknown_distribution_is_rejected_with_the_known_ones(tmp_path: Path, command: str) -> None:
    environment = os.environ | {"THUMB_GESTURE_ROS": "humble", "THUMB_GESTURE_ENVIRONMENT": str(tmp_path)}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode != 0
    assert "THUMB_GESTURE_ROS is humble, must be jazzy or kilted" in done.stderr


def test_setup_does_not_replace_a_sourced_distribution_by_another(tmp_path: Path) -> None:
    (tmp_path / "share" / "rcl" / "cmake").mkdir(parents=True)
    sourced = {"ROS_DISTRO": "jazzy", "AMENT_PREFIX_PATH": str(tmp_path), "THUMB_GESTURE_ENVIRONMENT": str(tmp_path / "own")}
    for selected, expected in (("jazzy", ""), ("kilted", f"THUMB_GESTURE_ROS is kilted, but ROS 2 jazzy in {tmp_path} is sourced")):
        environment = os.environ | sourced | {"THUMB_GESTURE_ROS": selected}
        done = subprocess.run([SETUP, "--dry-run"], capture_output=True, text=True, env=environment, timeout=60)
        assert (done.returncode != 0) == bool(expected), done.stderr
        assert expected in done.stderr


def test_cargo_gets_the_name_of_a_distribution_that_r2r_knows(tmp_path: Path) -> None:
    (cargo := tmp_path / "cargo").write_text('#!/bin/sh\necho "$ROS_DISTRO $# $2"\n')
    cargo.chmod(0o755)
    own = SCRIPTS / "kilted"
    environment = os.environ | {"ROS_DISTRO": "kilted", "PATH": f"{own}:{tmp_path}:{own}:{os.environ['PATH']}"}
    done = subprocess.run(["cargo", "test", "two words"], capture_output=True, text=True, env=environment, timeout=60)
    assert done.stdout == "jazzy 2 two words\n", done.stderr
