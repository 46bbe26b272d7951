"""Accuracy on photos of other people, and in rooms that were taught: part of `make bench`.

Compares on the same photos the built-in recognizer, a model taught on other photos with each recognizer, and MediaPipe in Python
(mediapipe_peer.py). With several sources of photos, models are also taught on all but one source and classify that one. Nothing is
fitted to the photos of other people, except those models.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from people_scores import DOWN, UP, Photo, Prediction, gesture_of, predict, score, table
from photos import SPLITS, split
from programs import run, show_progress

PEER = Path(__file__).with_name("mediapipe_peer.py")
IMAGES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
# Files in one command line, whose length the system limits.
MAX_ARGUMENTS = 500
TRAIN = ["thumb_gesture", "train", "--json", "--force"]


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("people")
    group.add_argument(
        "--people",
        type=Path,
        metavar="DIR",
        help="photos of other people, DIR/<label>/ or DIR/<source>/<label>/ [default: none, only the splits of --taught-on]",
    )
    group.add_argument(
        "--taught-on", type=Path, metavar="DIR", help="photos to teach on, with one directory per label [default: that of --photos]"
    )
    group.add_argument(
        "--gesture-recognizer",
        type=Path,
        metavar="FILE",
        help="gesture_recognizer.task of MediaPipe, for its gesture recognizer [default: without it]",
    )
    group.add_argument("--without-left-out", action="store_true", help="skip the models that are taught on all sources but one")


def measure(arguments: argparse.Namespace) -> dict:
    """All figures of this part for bench.json."""
    taught_on = arguments.taught_on or arguments.photos
    result: dict = {"skipped": []}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if taught_on:
            result["own_room"] = own_room(taught_on, directory / "splits")
        else:
            result["skipped"].append("models: no photos to teach on; use --taught-on DIR")
        if arguments.people:
            result |= others(arguments, taught_on, directory, result["skipped"])
        else:
            result["skipped"].append("other people: use --people DIR")
    show_progress("")
    return result


def others(arguments: argparse.Namespace, taught_on: Path | None, directory: Path, skipped: list[str]) -> dict:
    """The figures on photos of other people."""
    photos = read(arguments.people)
    found = {"thumb_gesture, built-in": of_program(photos, "--recognizer", "landmarks")}
    if taught_on:
        show_progress(f"training on {taught_on}")
        store = directory / "taught"
        run(*TRAIN, "--dataset", taught_on, "--store", store)
        for recognizer in recognizers():
            name = f"thumb_gesture, taught, {recognizer}"
            found[name] = of_program(photos, "--store", store, "--recognizer", recognizer)
    found |= of_mediapipe(photos, arguments.gesture_recognizer, skipped)
    sources = sorted({photo.source for photo in photos})
    if len(sources) > 1 and not arguments.without_left_out:
        found["thumb_gesture, taught on other sources"] = left_out(photos, sources, directory / "left_out")
    usable = [index for index in range(len(photos)) if all(each[index] for each in found.values())]
    if len(usable) < len(photos):
        skipped.append(f"{len(photos) - len(usable)} files that are no images")
    of_source = {source: [index for index in usable if photos[index].source == source] for source in sources}
    return {
        "photos": len(usable),
        "sources": {source: len(indices) for source, indices in of_source.items()},
        "recognizers": {name: score(each[index] for index in usable) for name, each in found.items()},
        "by_source": {
            source: {name: score(each[index] for index in indices) for name, each in found.items()}
            for source, indices in of_source.items()
        },
    }


def read(directory: Path) -> list[Photo]:
    """The photos of a directory with one directory per label, or with one per source that has them."""
    if not directory.is_dir():
        raise SystemExit(f"{directory} is not a directory")
    directories = sorted(path for path in directory.iterdir() if path.is_dir())
    sources = [(path.name, path) for path in directories]
    if any(gesture_of(path.name) in (UP, DOWN) for path in directories):
        sources = [("", directory)]
    photos = [
        Photo(file, gesture_of(label.name), source)
        for source, path in sources
        for label in sorted(path.iterdir())
        if label.is_dir()
        for file in sorted(label.rglob("*"))
        if file.suffix.lower() in IMAGES
    ]
    if not photos:
        raise SystemExit(f"{directory} has no photos; it must have directories such as thumbs_up, or one directory per source with them")
    return photos


def recognizers() -> list[str]:
    """The values of the option --recognizer."""
    usage = run("thumb_gesture", "predict", "--help")
    values = re.search(r"--recognizer <NAME>.*?possible values: ([^\]]*)", usage, re.DOTALL)
    return re.split(r",\s*", values[1]) if values else ["auto"]


def of_program(photos: list[Photo], *options: object) -> list[Prediction | None]:
    """The predictions of this package, in the order of the photos; `None` for what is no image."""
    show_progress(f"thumb_gesture, {options[-1]}")
    files = [photo.file for photo in photos]
    parts = [files[start : start + MAX_ARGUMENTS] for start in range(0, len(files), MAX_ARGUMENTS)]
    # It exits with 1 if a file is no image.
    lines = [answers(["thumb_gesture", "predict", "--json", *options, *part], max_status=1) for part in parts]
    return predictions(photos, "".join(lines))


def answers(command: list, max_status: int, files: str | None = None) -> str:
    """The output of a program, which may exit with a status of at most `max_status`."""
    done = subprocess.run([str(part) for part in command], input=files, capture_output=True, text=True)
    if not 0 <= done.returncode <= max_status:
        raise SystemExit(f"{' '.join(map(str, command[:8]))} failed: {done.stderr.strip()}")
    return done.stdout


def predictions(photos: list[Photo], lines: str) -> list[Prediction | None]:
    found = {Path(line["file"]): line["probabilities"] for line in map(json.loads, lines.splitlines())}
    return [predict(photo.gesture, found[photo.file]) if photo.file in found else None for photo in photos]


def of_mediapipe(photos: list[Photo], gesture_recognizer: Path | None, skipped: list[str]) -> dict[str, list[Prediction | None]]:
    """The predictions of MediaPipe, as far as it is installed."""
    python = os.environ.get("THUMB_GESTURE_MEDIAPIPE_PYTHON")
    if python is None:
        skipped.append("MediaPipe: not installed; run scripts/setup.sh --mediapipe, then . scripts/env.sh")
        return {}
    variants: dict[str, list[object]] = {"MediaPipe hands, rule": ["rule"]}
    if gesture_recognizer:
        variants["MediaPipe gesture recognizer"] = ["gestures", gesture_recognizer]
    else:
        skipped.append("MediaPipe's gesture recognizer: no package registry has its file; use --gesture-recognizer FILE")
    found = {}
    for name, options in variants.items():
        show_progress(name)
        files = "".join(f"{photo.file}\n" for photo in photos)
        # scripts/env.sh sets them for this package's programs.
        command = ["env", "-u", "LD_LIBRARY_PATH", "-u", "PYTHONPATH", python, PEER, *options]
        found[name] = predictions(photos, answers(command, 0, files))
    return found


def left_out(photos: list[Photo], sources: list[str], directory: Path) -> list[Prediction | None]:
    """Predictions for each source by a model that was taught on all others. They share a store, and so the features of the photos."""
    found: dict[Path, Prediction | None] = {}
    for index, source in enumerate(sources):
        show_progress(f"taught without {source}, {index + 1} of {len(sources)}")
        dataset = directory / "dataset"
        copy([photo for photo in photos if photo.source != source], dataset)
        # Landmarks decide on almost all photos; fine-tuning the network for each source would take hours.
        run(*TRAIN, "--strategy", "last_layer", "--dataset", dataset, "--store", directory / "store")
        shutil.rmtree(dataset)
        own = [photo for photo in photos if photo.source == source]
        found |= zip((photo.file for photo in own), of_program(own, "--store", directory / "store"), strict=True)
    return [found[photo.file] for photo in photos]


def copy(photos: list[Photo], dataset: Path) -> None:
    """Copies photos into a dataset; photos of different sources never belong to one burst."""
    for photo in photos:
        target = dataset / photo.gesture
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(photo.file, target / f"{photo.source}_{photo.file.parent.name}_{photo.file.name}")


def own_room(photos: Path, directory: Path) -> dict[str, dict]:
    """Scores of models that were taught on a part of each burst, on the rest of it."""
    found = {}
    for name, is_for_training in SPLITS.items():
        show_progress(f"own room, {name}")
        train, test = split(photos, directory / name, is_for_training)
        run(*TRAIN, "--dataset", train, "--store", directory / name / "store")
        found[name] = score(each for each in of_program(read(test), "--store", directory / name / "store") if each)
    return found


def report(result: dict) -> str:
    """The figures as tables."""
    tables = []
    if "recognizers" in result:
        tables.append(table(f"{result['photos']} photos of other people", result["recognizers"]))
    if len(result.get("sources", {})) > 1:
        first = next(iter(result["recognizers"]))
        of_sources = {f"{name}, {count}": result["by_source"][name][first] for name, count in result["sources"].items()}
        tables.append(table(f"by source: {first}", of_sources))
    if "own_room" in result:
        tables.append(table("own room, recognizer auto", result["own_room"]))
    return "\n\n".join([*tables, *(f"skipped: {reason}" for reason in result["skipped"])])
