"""What `thumb_gesture` does to files, to be interrupted: where each operation starts, and what must hold after it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy

from harness import LABELS
from images import png_of

TIMEOUT = 120.0
# Exit statuses of a program that reports its errors; a panic is 101.
REPORTED = {0, 1}
MODELS = 3
# A network that is small and needs no installed weights.
NETWORK = "squeezenet1_1"
WEIGHTS = """
import sys, torch, torchvision
torch.manual_seed(1)
for classes in (3, 1000):
    torch.save(torchvision.models.squeezenet1_1(num_classes=classes).state_dict(), f"{sys.argv[1]}/{classes}.pth")
"""


class Broken(Exception):
    """A promise of the package that does not hold."""


class Lost(Broken):
    """What was written before, or was reported as written, is missing or damaged."""


@dataclass(frozen=True)
class Operation:
    """A command on the directory of a trial, and what it makes of it.

    Without an `end`, it always gives the same files; otherwise `end` checks what it has made of the models.
    """

    name: str
    arguments: Callable[[Path], list[str]]
    end: Callable[[Path], None] | None = None


def command(*arguments: str) -> list[str]:
    """The command line of the installed program."""
    return ["thumb_gesture", *arguments]


def start(arguments: list[str]) -> subprocess.Popen[str]:
    """Starts a program in a session of its own, with its output as text."""
    try:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise Broken(f"{arguments[0]} does not start: {error}") from None


def kill(process: subprocess.Popen[str]) -> None:
    """Kills a program and its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def run(arguments: list[str], is_checked: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end; raises `Broken` if it does not end, or with another status than 0 unless that is unchecked."""
    process = start(arguments)
    try:
        output, errors = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        kill(process)
        raise Broken(f"{' '.join(arguments)} has not ended within {TIMEOUT} s") from None
    if is_checked and process.returncode != 0:
        raise Broken(f"{' '.join(arguments)} ends with {process.returncode}: {errors[-2000:]}")
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def tree(root: Path) -> dict[str, str]:
    """Every file and directory below `root`: the hash of a file, or `directory`."""
    found = {}
    for directory, directories, files in os.walk(root):
        at = Path(directory)
        found |= {str((at / name).relative_to(root)): "directory" for name in directories}
        found |= {str((at / name).relative_to(root)): sha256((at / name).read_bytes()).hexdigest() for name in files}
    return found


def versions(root: Path) -> dict[str, tuple[int, int]]:
    """Length and time of the last change of every file below `root`."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def is_hidden(path: str) -> bool:
    """Whether a file or a directory above it is hidden, as what is not complete is."""
    return any(part.startswith(".") for part in Path(path).parts)


def import_weights(root: Path, *options: str) -> list[str]:
    """Arguments that add a model to the store."""
    return ["import-weights", "--store", f"{root}/store", f"{root}/3.pth", "--labels", ",".join(LABELS), *options]


def import_bag(root: Path) -> list[str]:
    """Arguments that save the frames of a bag in a new dataset."""
    return ["bag", "import", "--dataset", f"{root}/new", "--label", "thumbs_up", f"{root}/bag"]


def check_models(root: Path) -> None:
    """Each model has undamaged files, the active one exists, nothing is left over, and no file was lost."""
    listing = json.loads(run(command("models", "--store", str(root / "store"), "--json", "list")).stdout)
    for model in listing["models"]:
        run(command("models", "--store", str(root / "store"), "show", model["id"]))
    names = {path.name for path in (root / "store/models").iterdir()}
    if names != {model["id"] for model in listing["models"]}:
        raise Broken(f"{sorted(names)} are in the store, {listing} is listed")
    active = json.loads((root / "store/active.json").read_text())
    if not {active["active"], active["previous"]} <= names | {None}:
        raise Lost(f"{active} names a model that does not exist")
    if not MODELS < len(names) <= MODELS + 2:
        raise Broken(f"{len(names)} models after one more was made, perhaps twice")


class Operations:
    """The directory that each trial starts from, and all operations on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.template = directory / "template"
        random = numpy.random.default_rng(1)
        for label, level in zip(LABELS, (0, 80, 160), strict=True):
            (self.template / "dataset" / label).mkdir(parents=True)
            for number in range(4):
                pixels = random.integers(level, level + 90, (48, 64, 3), numpy.uint8)
                (self.template / "dataset" / label / f"{number}.png").write_bytes(png_of(pixels))
        dataset, store = (str(self.template / name) for name in ("dataset", "store"))
        run(command("bag", "export", "--dataset", dataset, str(self.template / "bag")))
        run([os.environ["THUMB_GESTURE_TEST_PYTHON"], "-c", WEIGHTS, str(self.template)])
        run(command("import-weights", "--store", store, str(self.template / "1000.pth")))
        self.models = []
        for number in range(MODELS):
            options = ["--json", "--activate"] if number == MODELS - 1 else ["--json"]
            imported = json.loads(run(command(*import_weights(self.template, *options))).stdout)
            self.models.append(imported["model_id"])
        run(command("models", "--store", store, "export", "--output", str(self.template / "model.zip")))
        self.before = tree(self.template)
        self.versions = versions(self.template)
        self.all = [
            Operation("bag import", import_bag),
            Operation("bag export", lambda d: ["bag", "export", "--dataset", f"{d}/dataset", f"{d}/new_bag"]),
            Operation("models activate", lambda d: ["models", "--store", f"{d}/store", "activate", self.models[0]]),
            Operation("models delete", lambda d: ["models", "--store", f"{d}/store", "delete", self.models[1]]),
            Operation("models prune", lambda d: ["models", "--store", f"{d}/store", "prune", "--keep", "1"]),
            Operation("export", lambda d: ["export", "--store", f"{d}/store", "--directory", f"{d}/exported"]),
            Operation("models export", lambda d: ["models", "--store", f"{d}/store", "export", "--output", f"{d}/exported.zip"]),
            Operation("models import", lambda d: ["models", "--store", f"{d}/new_store", "import", f"{d}/model.zip"]),
            Operation("dataset merge", lambda d: ["dataset", "merge", f"robot={d}/dataset", "--into", f"{d}/merged"]),
            Operation("purge", lambda d: ["purge", "--dataset", f"{d}/dataset", "--store", f"{d}/store", "--yes"]),
            Operation("import-weights", lambda d: import_weights(d, "--activate"), check_models),
            Operation("train", self._train_arguments, check_models),
        ]
        # Of an uninterrupted run of each: in seconds, and what is there afterwards.
        self.durations: dict[str, float] = {}
        self.after = {operation.name: self._uninterrupted(operation) for operation in self.all}

    @staticmethod
    def _train_arguments(d: Path) -> list[str]:
        fast = f"--network {NETWORK} --strategy last_layer --epochs 1 --folds 1 --copies 0 --force --progress json"
        return ["train", "--dataset", f"{d}/dataset", "--store", f"{d}/store", *fast.split()]

    def _uninterrupted(self, operation: Operation) -> dict[str, str]:
        root, begin = self.start(), time.monotonic()
        run(command(*operation.arguments(root)))
        self.durations[operation.name] = time.monotonic() - begin
        found = tree(root)
        if operation.end:
            operation.end(root)
        return found

    def start(self) -> Path:
        """The directory of the next trial, as every trial starts."""
        root = self.directory / "trial"
        shutil.rmtree(root, ignore_errors=True)
        # The package replaces files and never changes them, which `check_template` verifies.
        shutil.copytree(self.template, root, copy_function=os.link)
        return root

    def check_interrupted(self, operation: Operation, root: Path) -> None:
        """Everything that is visible is complete: as before the operation, or as after it."""
        found, after = tree(root), self.after[operation.name]
        for path, content in found.items():
            if is_hidden(path) or content in (self.before.get(path), after.get(path)):
                continue
            if operation.end is None or not path.startswith("store/"):
                raise Lost(f"{path} is neither as before nor as after")
        for path, content in self.before.items():
            if path not in found and after.get(path) == content:
                raise Lost(f"{path} is lost")

    def check_repeated(self, operation: Operation, root: Path) -> None:
        """The same command does what was left to do, and nothing is left over."""
        repeated = run(command(*operation.arguments(root)), is_checked=False)
        if repeated.returncode not in REPORTED or "panicked" in repeated.stderr:
            raise Broken(f"the repetition ends with {repeated.returncode}: {repeated.stderr[-2000:]}")
        found, after = tree(root), self.after[operation.name]
        hidden = [path for path in found if is_hidden(path)]
        if hidden:
            raise Broken(f"left over: {hidden}")
        if operation.end:
            operation.end(root)
        elif found != after:
            different = sorted(path for path in found.keys() | after.keys() if found.get(path) != after.get(path))
            raise Broken(f"differs from an uninterrupted run: {different}; {repeated.stderr[-1000:]}")

    def check_template(self) -> None:
        """No operation has changed a file in place."""
        if versions(self.template) != self.versions:
            raise Lost("a file that was linked from the trial was changed in place")
