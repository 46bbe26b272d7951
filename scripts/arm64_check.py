#!/usr/bin/env python3
"""Builds the command line for arm64 and runs it under emulation: `make arm64-check`.

In a chroot with Debian's compilers for arm64 and the arm64 libraries of requirements/, it builds `thumb_gesture`, trains on a few photos,
classifies them, and compares with the programs of this machine. Checks the node's code for arm64 as well, without linking it.
Needs root, debootstrap and qemu-aarch64-static (Debian's qemu-user-static), the package built here, and 8 GB of disk.
Takes about an hour, most of it emulation. What exists in the directory is kept, so that the next run is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
CARGO_HOME = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
ENVIRONMENT = Path(os.environ.get("THUMB_GESTURE_ENVIRONMENT", REPOSITORY / ".environment")).resolve()
TARGET = "aarch64-unknown-linux-gnu"
# Without SVE, like the cores of a Jetson Orin. With the SVE that QEMU 7.2 emulates, libtorch's convolutions give other results, and the
# training rejects its model.
CPU = "cortex-a76"
# Largest difference of a probability between the two machines, with the same model in fp32.
BOUND = 0.001
# Debian's own cross compilers. The standard library for arm64 must be that of the compiler, so that rustup's compiler cannot be used.
PACKAGES = [
    *("rustc", "cargo", "libstd-rust-dev:arm64", "gcc", "g++", "libc6-dev", "gcc-aarch64-linux-gnu", "g++-aarch64-linux-gnu"),
    *("libstdc++6:arm64", "ca-certificates"),
]
# Wheels have various names for the same C library.
PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in range(17, 29)] + ["manylinux2014_aarch64"]
TRAINING = ["--strategy", "last_layer", "--folds", "1", "--copies", "0", "--epochs", "5"]


def main() -> int:
    """Runs all steps; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=Path("../shared/photos"), help="one directory of images per label")
    parser.add_argument("--frames", type=int, default=4, help="photos of each label to train on (default: %(default)s)")
    parser.add_argument("--directory", type=Path, default=Path("build/arm64"), help="default: build/arm64")
    parser.add_argument("--mirror", default="http://deb.debian.org/debian", help="default: %(default)s")
    arguments = parser.parse_args()
    for program in ("debootstrap", "qemu-aarch64-static", "thumb_gesture"):
        if not shutil.which(program):
            parser.error(f"{program} is missing; install debootstrap and qemu-user-static, and run this with make arm64-check")
    if os.geteuid() != 0:
        parser.error("a chroot needs root")
    check = Arm64Check(arguments.directory.resolve())
    check.make_chroot(arguments.mirror)
    check.get_libraries()
    run("cargo", "fetch", "--locked", "--quiet", "--manifest-path", REPOSITORY / "Cargo.toml")
    check.build()
    check.check_node()
    check.compare(arguments.photos.resolve(), arguments.frames)
    return 0


def run(*command: object, shown: str = "", **options: object) -> subprocess.CompletedProcess[str]:
    """Runs a command and shows its errors; ends this program if it fails."""
    start = time.monotonic()
    parts = [str(part) for part in command]
    shown = shown or " ".join(parts)
    done = subprocess.run(parts, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"arm64-check: failed with status {done.returncode}: {shown}")
    print(f"{time.monotonic() - start:6.0f} s  {shown[:120]}", flush=True)
    return done


class Arm64Check:
    """The chroot, and what runs in it."""

    def __init__(self, directory: Path) -> None:
        self.chroot = directory / "chroot"
        self.wheels = directory / "wheels"

    # What is needed

    def make_chroot(self, mirror: str) -> None:
        if (self.chroot / "usr/bin/aarch64-linux-gnu-gcc").exists():
            return
        shutil.rmtree(self.chroot, ignore_errors=True)
        self.chroot.parent.mkdir(parents=True, exist_ok=True)
        run("debootstrap", "--variant=minbase", "sid", self.chroot, mirror, stdout=subprocess.DEVNULL)
        # A mirror of sid may be older than its signature is valid.
        (self.chroot / "etc/apt/apt.conf.d/valid").write_text('Acquire::Check-Valid-Until "false";\n')
        shutil.copy("/etc/resolv.conf", self.chroot / "etc/resolv.conf")
        self.run_inside("dpkg", "--add-architecture", "arm64")
        self.run_inside("apt-get", "update", stdout=subprocess.DEVNULL)
        install = ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES]
        self.run_inside(*install, DEBIAN_FRONTEND="noninteractive", stdout=subprocess.DEVNULL)

    def get_libraries(self) -> None:
        """libtorch and ONNX Runtime as scripts/setup.sh installs them on arm64 without a GPU."""
        libtorch = self.chroot / "libtorch"
        if libtorch.exists():
            return
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--python-version", "3.12"]
        pip += [part for platform in PLATFORMS for part in ("--platform", platform)]
        for name in ("libtorch", "onnxruntime"):
            requirements = REPOSITORY / f"requirements/{name}.txt"
            run(*pip, "--upgrade", "--target", self.wheels / name, "-r", requirements)
        unfinished = self.chroot / "libtorch.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        run("bash", "-c", '. "$0" && take_libtorch_cpu "$@"', REPOSITORY / "scripts/libtorch.sh", self.wheels / "libtorch", unfinished)
        (library,) = self.wheels.glob("onnxruntime/onnxruntime/capi/libonnxruntime.so.*")
        shutil.copy(library, self.chroot / "libonnxruntime.so")
        unfinished.rename(libtorch)

    def inside(self, path: Path | str) -> Path:
        """The path in the chroot of what has this absolute path there."""
        return self.chroot / Path(path).relative_to("/")

    def run_inside(self, *command: object, stdout: int | None = None, **variables: object) -> subprocess.CompletedProcess[str]:
        """Runs a command in the chroot, with the repository, the environment and cargo's downloads at the paths that they have here."""
        mounts = [["mount", "-t", "proc", "proc", self.inside("/proc")]]
        for directory in (REPOSITORY, CARGO_HOME, ENVIRONMENT):
            self.inside(directory).mkdir(parents=True, exist_ok=True)
            mounts.append(["mount", "--bind", directory, self.inside(directory)])
        script = "\n".join(shlex.join(str(word) for word in mount) for mount in mounts)
        script += f'\nexec chroot {shlex.quote(str(self.chroot))} "$@"'
        # The mounts end with the command, however it ends: whoever deletes the chroot must not delete what is mounted there.
        shell = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh"]
        environment = {"HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | {name: str(value) for name, value in variables.items()}
        shown = " ".join(str(word) for word in command)
        return run(*shell, *command, shown=shown, env=environment, stdout=stdout)

    # What is checked

    def build(self) -> None:
        """Cross-builds the command line."""
        self.cargo("build", "torch", "--bin", "thumb_gesture")

    def check_node(self) -> None:
        """Checks the node's code for arm64: r2r reads the headers of the ROS here, which are the same on both machines."""
        names = ("AMENT_PREFIX_PATH", "IDL_PACKAGE_FILTER", "LD_LIBRARY_PATH", "LIBCLANG_PATH", "ROS_DISTRO")
        variables = {name: os.environ[name] for name in names if name in os.environ}
        # The wheel with libclang has no headers of a compiler.
        (compiler,) = self.chroot.glob("usr/lib/gcc-cross/aarch64-linux-gnu/*/include/stdbool.h")
        headers = [compiler.parent.relative_to(self.chroot), "usr/aarch64-linux-gnu/include"]
        variables["BINDGEN_EXTRA_CLANG_ARGS"] = " ".join(f"-I/{directory}" for directory in headers)
        self.cargo("check", "ros", "--bins", **variables)

    def cargo(self, command: str, feature: str, *options: str, **variables: str) -> None:
        cross = {
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER": "aarch64-linux-gnu-gcc",
            "CC_aarch64_unknown_linux_gnu": "aarch64-linux-gnu-gcc",
            "CXX_aarch64_unknown_linux_gnu": "aarch64-linux-gnu-g++",
            "AR_aarch64_unknown_linux_gnu": "aarch64-linux-gnu-ar",
        }
        variables |= cross | {"CARGO_HOME": CARGO_HOME, "CARGO_TARGET_DIR": "/target", "LIBTORCH": "/libtorch"}
        options = ["--locked", "--offline", "--release", "--target", TARGET, "--no-default-features", "--features", feature, *options]
        self.run_inside("cargo", command, "--manifest-path", REPOSITORY / "Cargo.toml", *options, **variables)

    def compare(self, photos: Path, frames: int) -> None:
        """Trains, evaluates, predicts and exports on both machines; ends this program at a difference."""
        work = Path("/work")
        outside = self.chroot / "work"
        shutil.rmtree(outside, ignore_errors=True)
        images = []
        for label in sorted(directory for directory in photos.iterdir() if directory.is_dir()):
            (outside / "dataset" / label.name).mkdir(parents=True)
            for photo in sorted(label.glob("*.jpg"))[:frames]:
                images.append(shutil.copy(photo, outside / "dataset" / label.name))
        images = [Path(image).relative_to(self.chroot) for image in images]
        print(f"{len(images)} photos", flush=True)

        trained = self.thumb_gesture("train", "--dataset", work / "dataset", "--store", work / "store", "--json", *TRAINING)
        summary = json.loads(trained)
        print(f"arm64: {summary['model_id']}: {summary['accuracy']:.3f}", flush=True)
        options = ["--json", "--recognizer", "image", "--device", "cpu", "--precision", "fp32", "--store"]
        inside = [json.loads(line) for line in self.thumb_gesture("predict", *options, work / "store", *(f"/{image}" for image in images)).splitlines()]
        here_command = ["thumb_gesture", "predict", *options, outside / "store", *(self.chroot / image for image in images)]
        here = [json.loads(line) for line in run(*here_command, stdout=subprocess.PIPE).stdout.splitlines()]
        differences = [
            abs(theirs["probabilities"][label] - ours["probabilities"][label])
            for theirs, ours in zip(inside, here, strict=True)
            for label in ours["probabilities"]
        ]
        labels = sum(theirs["label"] == ours["label"] for theirs, ours in zip(inside, here, strict=True))
        print(f"predictions: {labels} of {len(here)} labels are equal, probabilities differ by up to {max(differences):.1e}, may be {BOUND}")
        if labels < len(here) or max(differences) > BOUND:
            sys.exit("arm64-check: the predictions differ")

        evaluated = json.loads(self.thumb_gesture("evaluate", "--dataset", work / "dataset", "--store", work / "store", "--json"))
        print(f"evaluate: {evaluated['accuracy']:.3f} by the recognizer auto, in {evaluated['backend']}")
        exported = [work / "arm64.onnx", outside / "here.onnx"]
        self.thumb_gesture("export", "--store", work / "store", "--output", exported[0])
        run("thumb_gesture", "export", "--store", outside / "store", "--output", exported[1], stdout=subprocess.PIPE)
        if (outside / "arm64.onnx").read_bytes() != exported[1].read_bytes():
            sys.exit("arm64-check: the exported files differ")
        print("export: the same bytes on both machines")

    def thumb_gesture(self, *arguments: object) -> str:
        """Runs the arm64 program under emulation; returns its output."""
        emulator = self.chroot / "usr/bin/qemu-aarch64-static"
        if not emulator.exists():
            shutil.copy(shutil.which("qemu-aarch64-static"), emulator)
        variables = {
            "LD_LIBRARY_PATH": "/libtorch/lib",
            "ORT_DYLIB_PATH": "/libonnxruntime.so",
            # Otherwise a program whose libraries have started threads executes itself anew, without the emulator.
            "ORT_DISABLE_TELEMETRY": "1",
            "THUMB_GESTURE_PRETRAINED": os.environ["THUMB_GESTURE_PRETRAINED"],
        }
        program = f"/target/{TARGET}/release/thumb_gesture"
        return self.run_inside("/usr/bin/qemu-aarch64-static", "-cpu", CPU, program, *arguments, stdout=subprocess.PIPE, **variables).stdout


if __name__ == "__main__":
    sys.exit(main())
