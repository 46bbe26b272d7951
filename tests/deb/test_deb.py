"""The Debian package, installed into an empty system: `make deb-check`.

The system is a chroot with Debian's or Ubuntu's minimal set of packages, made by debootstrap once, in build/deb. It has no ROS, so that the
node is tested outside of it, with the programs that were installed there and the ROS 2 of this machine.
"""

from __future__ import annotations

import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests/ros"))
from requirement import skip_or_fail  # noqa: E402

BUILD = REPOSITORY / "build/deb"
PHOTOS = Path(os.environ.get("THUMB_GESTURE_PHOTOS", REPOSITORY.parent / "shared" / "photos"))
NAME = "ros-jazzy-thumb-gesture"
PREFIX = "opt/ros/jazzy"
PROGRAM = f"/{PREFIX}/bin/thumb_gesture"
LABELS = ["none", "thumbs_down", "thumbs_up"]
FRAMES_PER_LABEL = 6
FAST_TRAINING = ["--strategy", "last_layer", "--folds", "1", "--copies", "0", "--epochs", "5"]
# dpkg and apt remember what they did.
OF_PACKAGE_MANAGERS = ("var/cache", "var/lib/apt", "var/lib/dpkg", "var/log", "run", "tmp", "proc")


class System:
    """A chroot, in which commands run."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *command: str, status: int = 0) -> str:
        """Runs a command in it, with /proc, which ends with the command; returns its output."""
        script = f'mount -t proc proc "{self.root}/proc"; exec chroot "{self.root}" "$@"'
        shell = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", *command]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(shell, env=environment, text=True, capture_output=True)
        assert done.returncode == status, f"{command}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    def files(self) -> set[str]:
        """All files and directories but those that are dpkg's and apt's own."""
        paths = (str(path.relative_to(self.root)) for path in self.root.rglob("*"))
        return {path for path in paths if not path.startswith(OF_PACKAGE_MANAGERS)}


@pytest.fixture(scope="session")
def deb() -> Path:
    """The package that `make deb` built last."""
    built = sorted(BUILD.glob("*.deb"), key=lambda file: file.stat().st_mtime)
    if not built:
        skip_or_fail("deb", "no package in build/deb; run make deb")
    return built[-1]


@pytest.fixture(scope="session")
def minimal_system() -> Path:
    """A directory with a minimal Debian or Ubuntu, the release of this machine."""
    missing = [tool for tool in ("debootstrap", "unshare", "chroot") if not shutil.which(tool)]
    if missing:
        skip_or_fail("deb", f"{missing[0]} is missing; apt-get install debootstrap")
    if os.geteuid() != 0:
        skip_or_fail("deb", "a chroot needs root")
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    system = BUILD / f"system-{release}"
    if not system.exists():
        unfinished = BUILD / "system.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        made = subprocess.run(["debootstrap", "--variant=minbase", release, unfinished], capture_output=True, text=True)
        if made.returncode != 0:
            skip_or_fail("deb", f"debootstrap failed: {made.stdout[-500:]}")
        unfinished.rename(system)
    return system


@pytest.fixture(scope="module")
def bare(minimal_system: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A copy of the minimal system."""
    root = tmp_path_factory.mktemp("deb") / "root"
    subprocess.run(["cp", "--archive", minimal_system, root], check=True)
    yield System(root)
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def system(bare: System, deb: Path) -> Iterator[System]:
    """The system with the package, which is purged at the end and must leave nothing."""
    before = bare.files()
    shutil.copy(deb, bare.root / "tmp/package.deb")
    if "ros-jazzy-" in field(deb, "Depends"):
        # The system has no source of ROS packages.
        bare.run("dpkg", "--force-depends", "--install", "/tmp/package.deb")
    else:
        bare.run("apt-get", "install", "--yes", "--no-install-recommends", "/tmp/package.deb")
    yield bare
    bare.run("dpkg", "--purge", NAME)
    assert bare.files() - before == set(), "left after dpkg --purge"


@pytest.fixture(scope="module")
def photos(system: System) -> list[str]:
    """A few photos of each label in /tmp/dataset of the system, as paths there."""
    if not PHOTOS.is_dir():
        skip_or_fail("photos", f"no photos in {PHOTOS}; set THUMB_GESTURE_PHOTOS to a directory with one subdirectory per label")
    paths = []
    for label in LABELS:
        target = system.root / "tmp/dataset" / label
        target.mkdir(parents=True)
        for photo in sorted((PHOTOS / label).glob("*.jpg"))[:FRAMES_PER_LABEL]:
            shutil.copy(photo, target)
            paths.append(f"/tmp/dataset/{label}/{photo.name}")
    return paths


def field(deb: Path, name: str) -> str:
    """A field of the control file; empty if it has none."""
    return subprocess.run(["dpkg-deb", "--field", deb, name], check=True, capture_output=True, text=True).stdout.strip()


def test_control_file_names_package_version_and_ros(deb: Path) -> None:
    assert field(deb, "Package") == NAME
    version = ElementTree.parse(REPOSITORY / "package.xml").findtext("version")
    assert field(deb, "Version").startswith(f"{version}-0")
    needed = field(deb, "Depends") + field(deb, "Recommends")
    for package in ("ros-jazzy-rcl", "ros-jazzy-sensor-msgs", "ros-jazzy-launch-ros", "libc6", "libstdc++6"):
        assert package in needed
    assert "libtorch" not in needed, "it is in the package"


def test_installed_files_are_those_of_the_package(system: System) -> None:
    assert system.run("dpkg", "--verify", NAME) == ""
    owners = system.run("find", f"/{PREFIX}", "-not", "-user", "root", "-or", "-perm", "/022", "-not", "-type", "l")
    assert owners == "", "writable by others than root"


def test_licenses_of_bundled_libraries_are_installed(system: System) -> None:
    documents = system.root / "usr/share/doc" / NAME
    for name, license_texts in {
        "library_licenses.gz": ["==== torch-", "From PyTorch:", "==== LICENSE\nMIT License\n\nCopyright (c) Microsoft", "ThirdPartyNotices.txt"],
        "rust_licenses.gz": ["==== ort ", "==== tch "],
    }.items():
        text = gzip.decompress((documents / name).read_bytes()).decode()
        for license_text in license_texts:
            assert license_text in text, f"{name} lacks {license_text!r}"


def test_command_line_runs_without_ros(system: System) -> None:
    assert system.run(PROGRAM, "--version").startswith("thumb_gesture ")
    assert "predict" in system.run(PROGRAM, "--help")
    assert "--dataset" in system.run(PROGRAM, "train", "--help")


def test_photos_are_classified_and_trained_on_without_ros(system: System, photos: list[str]) -> None:
    lines = system.run(PROGRAM, "predict", "--json", *photos).splitlines()
    assert len(lines) == len(photos)
    right = sum(json.loads(line)["label"] in photo for line, photo in zip(lines, photos, strict=True))
    assert right >= 0.8 * len(photos), lines
    trained = system.run(PROGRAM, "train", "--dataset", "/tmp/dataset", "--store", "/tmp/store", "--json", *FAST_TRAINING)
    model = json.loads(trained)["model_id"]
    assert model in system.run(PROGRAM, "models", "list", "--store", "/tmp/store")


def test_node_runs_with_the_ros_of_this_machine(system: System, tmp_path: Path) -> None:
    # The tests of the node, of which a few suffice: that it starts, finds its networks and classifies, and trains.
    installed = system.root / PREFIX
    (python,) = installed.glob("lib/python3.*/site-packages")
    if f"python3.{sys.version_info.minor}" not in python.parts:
        skip_or_fail("deb", f"this is Python 3.{sys.version_info.minor}, and the package is for {python.parent.name}")
    environment = dict(os.environ)
    # What scripts/env.sh sets for the programs in install/, which must not be used here.
    for variable in ("ORT_DYLIB_PATH", "THUMB_GESTURE_PRETRAINED", "LIBTORCH"):
        environment.pop(variable, None)
    for variable in ("AMENT_PREFIX_PATH", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH"):
        kept = [path for path in environment.get(variable, "").split(":") if not is_of_this_build(path)]
        environment[variable] = ":".join(kept)
    script = f'. {installed}/share/thumb_gesture/local_setup.bash && export PATH="{installed}/lib/thumb_gesture:$PATH" && exec "$@"'
    tests = ["tests/ros/test_builtin.py::test_frames_are_classified_without_a_model", "tests/ros/test_programs.py"]
    command = [sys.executable, "-m", "pytest", "-x", f"--basetemp={tmp_path}/ros", *tests]
    done = subprocess.run(["bash", "-c", script, "bash", *command], cwd=REPOSITORY, env=environment, text=True, capture_output=True)
    assert done.returncode == 0 and "skipped" not in done.stdout, done.stdout[-5000:]


def is_of_this_build(path: str) -> bool:
    """Whether a directory has programs or libraries that scripts/env.sh adds."""
    own = (REPOSITORY / "build", REPOSITORY / "install", Path(os.environ.get("LIBTORCH", "/nonexistent")))
    return any(Path(path).is_relative_to(directory) for directory in own)
