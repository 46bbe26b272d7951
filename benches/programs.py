"""What the parts of the benchmark share: running a program to its end, and telling a person how far it has come."""

import subprocess
import sys
from pathlib import Path

PEER = Path(__file__).with_name("peer.py")


def run(*command: object) -> str:
    """What the program printed; fails where it does."""
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def train_on_noise(python: str, directory: Path) -> tuple[Path, Path]:
    """A dataset of noise, and a store with a model whose weights do not matter."""
    dataset, store = directory / "dataset", directory / "store"
    run(python, PEER, "dataset", dataset)
    run("thumb_gesture", "train", "--json", "--epochs", 1, "--dataset", dataset, "--store", store)
    return dataset, store


def show_progress(text: str) -> None:
    """One line that the next one replaces, where someone looks; an empty text clears it."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
