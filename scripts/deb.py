#!/usr/bin/env python3
"""Builds a Debian package of this package for the system and the ROS 2 that it runs on: `make deb`.

It is named and laid out as bloom's packages are, and also has libtorch, ONNX Runtime and the pretrained weights. The build is one of
its own, in build/deb, because the programs find these libraries beside them, and name no path of this machine. The same sources, tools and
SOURCE_DATE_EPOCH (default: the time of the last commit) give the same package, byte for byte.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from datetime import datetime, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import NoReturn

from catkin_pkg.package import Package, parse_package

REPOSITORY = Path(__file__).resolve().parents[1]
ENVIRONMENT = Path(os.environ.get("THUMB_GESTURE_ENVIRONMENT", REPOSITORY / ".environment")).resolve()
CARGO_HOME = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")).resolve()
DIRECTORY = REPOSITORY / "build/deb"
# What stands for the directories of this machine in the programs.
NAMES = {REPOSITORY: "thumb_gesture", ENVIRONMENT: "environment", CARGO_HOME: "cargo"}
TOOLS = {"dpkg-deb": "dpkg", "dpkg-shlibdeps": "dpkg-dev", "dpkg-gencontrol": "dpkg-dev", "readelf": "binutils", "strip": "binutils"}
# auditwheel adds a hash to the names of libraries that it copies into a wheel; no other system has such a library.
IN_A_WHEEL = re.compile(r"-[0-9a-f]{8}\.so")
LICENSE_FILE = re.compile(r"(licen[cs]e|copying|notice|copyright)", re.IGNORECASE)

CONTROL = """\
Source: {name}
Section: misc
Priority: optional
Maintainer: {maintainer}
Homepage: {homepage}

Package: {name}
Architecture: any
Depends: {depends}
Recommends: {recommends}
Description: {summary}
{description}
"""

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: thumb_gesture
Source: {source}

Files: *
Copyright: The thumb_gesture authors
License: MIT
Comment: The programs contain Rust crates, whose licenses are in rust_licenses.gz.

Files: opt/ros/*/share/thumb_gesture/weights/*.safetensors
Copyright: Soumith Chintala and the torchvision contributors
License: BSD-3-Clause
Comment: torchvision's weights, converted.

Files: opt/ros/*/share/thumb_gesture/weights/hand/*
Copyright: The MediaPipe Authors
License: Apache-2.0
Comment: MediaPipe's hand networks, converted.

Files: opt/ros/*/lib/thumb_gesture/lib/*
Copyright: the PyTorch contributors
License: BSD-3-Clause
Comment: libtorch of the PyTorch wheel; the licenses of what it contains are in library_licenses.gz. libgomp is of GCC, under GPL-3 with the
 GCC Runtime Library Exception; libcudart and libcupti, which libtorch needs even without a GPU, are NVIDIA's, under the CUDA Toolkit End User
 License Agreement.

Files: opt/ros/*/lib/thumb_gesture/lib/libonnxruntime*
Copyright: Microsoft Corporation
License: MIT
Comment: The licenses of what it contains are in library_licenses.gz.

License: MIT
{mit}

License: BSD-3-Clause
 Redistribution and use in source and binary forms, with or without modification, are permitted provided that the following conditions are met:
 .
 1. Redistributions of source code must retain the above copyright notice, this list of conditions and the following disclaimer.
 .
 2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following disclaimer in the
 documentation and/or other materials provided with the distribution.
 .
 3. Neither the name of the copyright holder nor the names of its contributors may be used to endorse or promote products derived from this
 software without specific prior written permission.
 .
 THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED
 TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR
 CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO,
 PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF
 LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS
 SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.

License: Apache-2.0
 On Debian and Ubuntu the text is in /usr/share/common-licenses/Apache-2.0.
"""


def main() -> int:
    """Runs all steps; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    check_machine()
    package = parse_package(str(REPOSITORY / "package.xml"))
    package.evaluate_conditions(os.environ)
    print(DebianPackage(package, DIRECTORY).make())
    return 0


def fail(problem: str, fix: str) -> NoReturn:
    """Ends this program."""
    sys.exit(f"deb: {problem}; {fix}")


def run(*command: object, **options: object) -> str:
    """Runs a command and returns its output; ends this program if it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, text=True, stdout=options.pop("stdout", subprocess.PIPE), **options)
    if done.returncode != 0:
        sys.exit(f"deb: failed with status {done.returncode}: {' '.join(words)[:200]}")
    return done.stdout or ""


def check_machine() -> None:
    """Ends this program if something is missing, or does not belong into a package."""
    for tool, debian in TOOLS.items():
        if not shutil.which(tool):
            fail(f"{tool} is missing", f"apt-get install {debian}")
    if "ROS_DISTRO" not in os.environ:
        fail("no ROS 2 is sourced", "run this with make deb")
    if list(ENVIRONMENT.glob("libtorch/lib/libtorch_cuda*")):
        fail(
            f"{ENVIRONMENT} is for a GPU, and CUDA's libraries are too large for a package",
            "build it with THUMB_GESTURE_ENVIRONMENT=DIR after THUMB_GESTURE_ENVIRONMENT=DIR scripts/setup.sh --no-gpu",
        )
    if not (ENVIRONMENT / "weights/hand").is_dir():
        fail(f"{ENVIRONMENT} has no networks for hands", "run scripts/setup.sh")


def release_date() -> int:
    """SOURCE_DATE_EPOCH, or else the time of the last commit, or of package.xml outside a repository."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is not None:
        if not given.isdecimal():
            fail(f"SOURCE_DATE_EPOCH is {given!r}", "it must be a number of seconds since 1970")
        return int(given)
    commit = subprocess.run(["git", "-C", REPOSITORY, "log", "-1", "--format=%ct"], capture_output=True, text=True)
    return int(commit.stdout) if commit.returncode == 0 else int((REPOSITORY / "package.xml").stat().st_mtime)


def codename() -> str:
    """The name of this system's release, such as bookworm or noble."""
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    fail("/etc/os-release has no VERSION_CODENAME", "build the package on Debian or Ubuntu")


def debian_name(package: str) -> str:
    """The Debian package of a ROS package, as bloom and rosdep name it."""
    return f"ros-{os.environ['ROS_DISTRO']}-{package.replace('_', '-')}"


def sourced_package(name: str) -> Path | None:
    """The package.xml of a package in the sourced ROS 2."""
    files = (Path(prefix) / "share" / name / "package.xml" for prefix in os.environ["AMENT_PREFIX_PATH"].split(":"))
    return next((file for file in files if file.exists()), None)


def ros_is_from_apt() -> bool:
    """Whether Debian packages can depend on the sourced ROS 2."""
    file = sourced_package("rcl")
    if file is None:
        fail("AMENT_PREFIX_PATH has no rcl", "source a ROS 2")
    return subprocess.run(["dpkg-query", "--search", file], capture_output=True).returncode == 0


class DebianPackage:
    """The package, staged in a directory."""

    def __init__(self, package: Package, directory: Path) -> None:
        distribution = os.environ["ROS_DISTRO"]
        self.package = package
        self.name = debian_name(package.name)
        self.version = f"{package.version}-0{codename()}"
        self.prefix = Path(f"/opt/ros/{distribution}")
        self.date = release_date()
        self.directory = directory
        self.root = directory / "root"
        self.installed = self.root / self.prefix.relative_to("/")
        # libtorch and ONNX Runtime, as they were downloaded.
        self.bundled = self.installed / "lib/thumb_gesture/lib"
        self.documents = self.root / "usr/share/doc" / self.name

    def make(self) -> Path:
        """Builds the package; returns its path."""
        self.build()
        self.tidy_up()
        self.write_documents()
        self.check()
        self.write_control()
        return self.pack()

    def build(self) -> None:
        """Builds with CMake, as colcon does, and installs below `root`."""
        maps = [f"{directory}={name}" for directory, name in NAMES.items()]
        flags = " ".join(f"-ffile-prefix-map={entry}" for entry in maps)
        environment = os.environ | {
            "CFLAGS": flags,
            "CXXFLAGS": flags,
            "RUSTFLAGS": " ".join(f"--remap-path-prefix={entry}" for entry in maps),
            # rosidl writes parts of the messages' descriptions in the order of Python's sets.
            "PYTHONHASHSEED": "0",
        }
        # Nothing that is compiled contains the time, and cargo would compile the C libraries anew for each commit.
        environment.pop("SOURCE_DATE_EPOCH", None)
        # scripts/env.sh adds the package itself, which must not be found.
        own = [str(REPOSITORY / "build/thumb_gesture/interfaces"), str(REPOSITORY / "install/thumb_gesture")]
        prefixes = [prefix for prefix in os.environ["AMENT_PREFIX_PATH"].split(":") if prefix not in own]
        environment["AMENT_PREFIX_PATH"] = ":".join(prefixes)
        build = self.directory / "thumb_gesture"
        options = {
            "CMAKE_BUILD_TYPE": "Release",
            "CMAKE_INSTALL_PREFIX": self.prefix,
            "CMAKE_PREFIX_PATH": ";".join(prefixes),
            "BUILD_TESTING": "OFF",
            "THUMB_GESTURE_BUNDLE_LIBRARIES": "ON",
        }
        defined = [f"-D{name}={value}" for name, value in options.items()]
        run("cmake", "-S", REPOSITORY, "-B", build, *defined, env=environment, stdout=sys.stderr)
        run("cmake", "--build", build, "--parallel", os.cpu_count() or 1, env=environment, stdout=sys.stderr)
        shutil.rmtree(self.root, ignore_errors=True)
        run("cmake", "--install", build, env=environment | {"DESTDIR": str(self.root)}, stdout=subprocess.DEVNULL)

    def files(self) -> list[Path]:
        """All staged files, without links."""
        return [file for file in sorted(self.root.rglob("*")) if file.is_file() and not file.is_symlink()]

    def elf_files(self) -> list[Path]:
        """The programs and libraries."""
        return [file for file in self.files() if file.open("rb").read(4) == b"\x7fELF"]

    def tidy_up(self) -> None:
        """Replaces what depends on this machine."""
        own = [file for file in self.elf_files() if file.parent != self.bundled]
        run("strip", "--strip-unneeded", "--remove-section=.comment", *own)
        # The prefixes that setup.sh sources before its own: as in the packages of ROS, the prefix itself.
        (self.installed / f"share/ament_index/resource_index/parent_prefix_path/{self.package.name}").write_text(str(self.prefix))
        # setuptools' list of sources differs between a first build and the next.
        for sources in self.installed.glob("lib/python3.*/site-packages/*.egg-info/SOURCES.txt"):
            sources.unlink()
        # With hashes instead of times; if Python compiled the modules itself, as root, the files would stay when the package is removed.
        for cache in list(self.root.rglob("__pycache__")):
            shutil.rmtree(cache)
        compiler = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", self.root, "-p", "/"]
        run(*compiler, self.installed / "lib", self.installed / "share", env=os.environ | {"PYTHONHASHSEED": "0"})

    def write_documents(self) -> None:
        """Writes the copyright, the licenses and the changelog that Debian expects."""
        self.documents.mkdir(parents=True)
        mit = (REPOSITORY / "LICENSE").read_text().strip().splitlines()
        text = COPYRIGHT.format(source=self.package.urls[0].url, mit="\n".join(f" {line}" if line else " ." for line in mit))
        (self.documents / "copyright").write_text(text)
        self.write_compressed("rust_licenses.gz", self.rust_licenses())
        self.write_compressed("library_licenses.gz", self.library_licenses())
        changes = [
            f"{self.name} ({self.version}) {codename()}; urgency=medium",
            f"  * Version {self.package.version}; its changes are in CHANGELOG.md of the sources.",
            f" -- {self.maintainer()}  {format_datetime(datetime.fromtimestamp(self.date, timezone.utc))}",
        ]
        self.changelog = "\n\n".join(changes) + "\n"
        self.write_compressed("changelog.Debian.gz", self.changelog)

    def write_compressed(self, name: str, text: str) -> None:
        """Writes a document, the same for the same text."""
        (self.documents / name).write_bytes(gzip.compress(text.encode(), mtime=0))

    def rust_licenses(self) -> str:
        """The license of each crate in the programs, with its text."""
        tree = run("cargo", "tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}", cwd=REPOSITORY)
        used = {tuple(line.split()[:2]) for line in tree.splitlines()}
        metadata = json.loads(run("cargo", "metadata", "--locked", "--format-version", "1", cwd=REPOSITORY))
        texts = []
        for crate in sorted(metadata["packages"], key=lambda crate: (crate["name"], crate["version"])):
            if crate["source"] is None or (crate["name"], f"v{crate['version']}") not in used:
                continue
            files = sorted(file for file in Path(crate["manifest_path"]).parent.iterdir() if LICENSE_FILE.match(file.name) and file.is_file())
            texts.append(f"==== {crate['name']} {crate['version']}: {crate['license']}\n")
            texts += [f"---- {file.name}\n{file.read_text(errors='replace')}\n" for file in files]
        return "\n".join(texts)

    def library_licenses(self) -> str:
        """The texts that the wheels of libtorch and ONNX Runtime contain."""
        texts = []
        for library in ("libtorch", "lib"):
            directory = ENVIRONMENT / library / "licenses"
            files = sorted(file for file in directory.rglob("*") if file.is_file())
            if not files:
                fail(f"{directory} is missing or empty", "run scripts/setup.sh")
            texts += [f"==== {file.relative_to(directory)}\n{file.read_text(errors='replace')}\n" for file in files]
        return "\n".join(texts)

    def check(self) -> None:
        """Ends this program if the package would not work elsewhere."""
        for file in self.elf_files():
            needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "--dynamic", "--wide", file))
            foreign = [name for name in needed if IN_A_WHEEL.search(name)]
            if foreign:
                fail(f"{file.name} needs {foreign[0]}, which only this machine's Python wheels have", "build with a ROS 2 from apt")
        forbidden = [str(directory).encode() for directory in (*NAMES, Path.home()) if directory != Path("/")]
        for file in self.files():
            # They name paths of the machines of their own makers.
            if file.parent == self.bundled:
                continue
            content = file.read_bytes()
            for path in forbidden:
                if path + b"/" in content:
                    fail(f"{file.relative_to(self.root)} names {path.decode()}, a path of this machine", "report it as a bug")

    def maintainer(self) -> str:
        """The first maintainer in package.xml."""
        maintainer = self.package.maintainers[0]
        return f"{maintainer.name} <{maintainer.email}>"

    def write_control(self) -> None:
        """Writes the control file, with what the programs need of the system's libraries by their symbols."""
        work = self.directory / "control"
        shutil.rmtree(work, ignore_errors=True)
        (work / "debian").mkdir(parents=True)
        (work / "debian/changelog").write_text(self.changelog)
        # Each dependency of package.xml is a package of ROS.
        needed = {depend.name for depend in self.package.exec_depends if depend.evaluated_condition}
        # Optional, but linked if it is there.
        if sourced_package("vision_msgs"):
            needed.add("vision_msgs")
        ros = [debian_name(name) for name in sorted(needed)]
        (python,) = self.installed.glob("lib/python3.*")
        minor = int(python.name.partition(".")[2])
        # The Python messages are only found by this Python.
        ros += [f"python3 (>= 3.{minor})", f"python3 (<< 3.{minor + 1})"]
        depends, recommends = ["${shlibs:Depends}"], []
        # What is in no package cannot be installed with it; without ROS, the command line works nevertheless.
        (depends if ros_is_from_apt() else recommends).extend(ros)
        control = CONTROL.format(
            name=self.name,
            maintainer=self.maintainer(),
            homepage=self.package.urls[0].url,
            depends=", ".join(depends),
            recommends=", ".join(recommends),
            summary="ROS 2 node that recognizes thumbs up and thumbs down in camera images",
            description=textwrap.fill(" ".join(self.package.description.split()), 78, initial_indent=" ", subsequent_indent=" "),
        )
        (work / "debian/control").write_text(control)
        # With this directory, dpkg-shlibdeps finds the libraries beside the programs.
        (self.root / "DEBIAN").mkdir()
        libraries = [f"-l{directory}" for directory in (self.installed / "lib", self.bundled)]
        # Neither the packages of ROS nor wheels say which symbols their libraries have.
        command = ["dpkg-shlibdeps", "--ignore-missing-info", "--warnings=0", *libraries, "-Tdebian/substvars"]
        run(*command, *(f"-e{file}" for file in self.elf_files()), cwd=work, stderr=subprocess.DEVNULL)
        sums = [f"{hashlib.md5(file.read_bytes()).hexdigest()}  {file.relative_to(self.root)}\n" for file in self.files()]
        (self.root / "DEBIAN/md5sums").write_text("".join(sums))
        run("dpkg-gencontrol", f"-p{self.name}", f"-P{self.root}", "-Tdebian/substvars", cwd=work)

    def pack(self) -> Path:
        """Packs what is staged; returns the path of the package."""
        for path in [self.root, *self.root.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            os.utime(path, (self.date, self.date), follow_symlinks=False)
        environment = os.environ | {"SOURCE_DATE_EPOCH": str(self.date)}
        # zstd: xz takes several times as long for 0.6 GB.
        run("dpkg-deb", "--build", "--root-owner-group", "-Zzstd", "-z12", self.root, self.directory, env=environment)
        architecture = run("dpkg", "--print-architecture").strip()
        return self.directory / f"{self.name}_{self.version}_{architecture}.deb"


if __name__ == "__main__":
    sys.exit(main())
