"""How well a model does on photos of takes that it saw a part of: two splits, several seeds, and the folds' own word.

    python3 benches/photos.py PHOTOS    a directory with a directory of photos for each label, numbered within each take

`blocks`: of each take, blocks of six neighbouring photos in turn to train on and to test with. `last quarter`: the first three quarters
of each take to train on, the last to test with; the hand has moved on by then. Needs `. scripts/env.sh`.
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

# Whether the photo with this index, of so many in its take, is one to train on.
SPLITS: dict[str, Callable[[int, int], bool]] = {
    "blocks": lambda index, count: index // BLOCK % 2 == 0,
    "last quarter": lambda index, count: index < count * 3 // 4,
}


def take_of(photo: Path) -> str:
    """What stands before the number in the photo's name."""
    return re.sub(r"\d+$", "", photo.stem)


def split(photos: Path, directory: Path, is_to_train: Callable[[int, int], bool]) -> tuple[Path, Path]:
    """Copies the photos into a directory to train on and one to test with."""
    train, test = directory / "train", directory / "test"
    for label in sorted(path for path in photos.iterdir() if path.is_dir()):
        for _, take in groupby(sorted(label.glob("*.jpg")), take_of):
            files = list(take)
            for index, file in enumerate(files):
                target = (train if is_to_train(index, len(files)) else test) / label.name
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
    return train, test


def measure(train: Path, test: Path, store: Path, *options: str) -> tuple[dict, dict]:
    """Trains a model and classifies the test photos with it; gives both reports."""
    trained = json.loads(run("thumb_gesture", "train", "--json", "--force", "--dataset", train, "--store", store, *options))
    classified = json.loads(run("thumb_gesture", "evaluate", "--json", "--dataset", test, "--store", store))
    return trained, classified


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    photos, options = Path(sys.argv[1]), sys.argv[2:]
    print(f"{'split':<14}{'seed':>5}{'test photos right':>20}{'5 folds':>10}{'interval':>16}{'error':>8}{'seconds':>9}")
    for name, is_to_train in SPLITS.items():
        with tempfile.TemporaryDirectory() as directory:
            train, test = split(photos, Path(directory), is_to_train)
            for seed in SEEDS:
                seeded = ["--seed", str(seed), "--folds", "5", *options]
                trained, classified = measure(train, test, Path(directory, "store"), *seeded)
                right = f"{classified['correct']} of {classified['frames']} = {classified['accuracy']:.1%}"
                low, high = trained["interval"]
                folds = f"{trained['accuracy']:>10.1%}{f'{low:.1%} - {high:.1%}':>16}{trained['ece']:>8.3f}"
                print(f"{name:<14}{seed:>5}{right:>20}{folds}{trained['train_seconds']:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
