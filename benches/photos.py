"""Accuracy on photos of bursts that are partly in the training set: three splits and several seeds, compared with the cross-validation.

    python3 benches/photos.py PHOTOS    a directory with one directory of photos per label, numbered within each burst

`blocks`: blocks of six neighboring photos of each burst are alternately used for training and test. `last quarter`: the first three
quarters of each burst are used for training, the last one for the test, in which the hand has moved on. `second half`: the same with
halves. Needs `. scripts/env.sh`.
"""

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from programs import run

SEEDS = [1, 2, 3, 4, 5]
BLOCK = 6

# Arguments: index of the photo in its burst, number of photos in the burst. Result: whether it is used for training.
SPLITS: dict[str, Callable[[int, int], bool]] = {
    "blocks": lambda index, count: index // BLOCK % 2 == 0,
    "last quarter": lambda index, count: index < count * 3 // 4,
    "second half": lambda index, count: index < count // 2,
}


def burst_of(photo: Path) -> str:
    """The part of the photo's name before the number."""
    return re.sub(r"\d+$", "", photo.stem)


def split(photos: Path, directory: Path, is_for_training: Callable[[int, int], bool]) -> tuple[Path, Path]:
    """Copies the photos into a directory for training and one for the test."""
    train, test = directory / "train", directory / "test"
    for label in sorted(path for path in photos.iterdir() if path.is_dir()):
        for _, burst in groupby(sorted(label.glob("*.jpg")), burst_of):
            files = list(burst)
            for index, file in enumerate(files):
                target = (train if is_for_training(index, len(files)) else test) / label.name
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
    return train, test


def measure(train: Path, test: Path, store: Path, *options: str) -> tuple[dict, dict]:
    """Trains a model and evaluates it on the test photos; returns both reports."""
    trained = json.loads(run("thumb_gesture", "train", "--json", "--force", "--dataset", train, "--store", store, *options))
    classified = json.loads(run("thumb_gesture", "evaluate", "--json", "--dataset", test, "--store", store))
    return trained, classified


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    photos, options = Path(sys.argv[1]), sys.argv[2:]
    print(f"{'split':<14}{'seed':>5}{'test photos correct':>20}{'5 folds':>10}{'interval':>16}{'error':>8}{'seconds':>9}")
    for name, is_for_training in SPLITS.items():
        with tempfile.TemporaryDirectory() as directory:
            train, test = split(photos, Path(directory), is_for_training)
            for seed in SEEDS:
                seeded = ["--seed", str(seed), "--folds", "5", *options]
                trained, classified = measure(train, test, Path(directory, "store"), *seeded)
                right = f"{classified['correct']} of {classified['frames']} = {classified['accuracy']:.1%}"
                low, high = trained["interval"]
                folds = f"{trained['accuracy']:>10.1%}{f'{low:.1%} - {high:.1%}':>16}{trained['ece']:>8.3f}"
                print(f"{name:<14}{seed:>5}{right:>20}{folds}{trained['train_seconds']:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
