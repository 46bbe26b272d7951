"""Shared functions of the benchmark: running programs and showing the progress."""

import subprocess
import sys
from pathlib import Path

PEER = Path(__file__).with_name("peer.py")


def run(*command: object) -> str:
    """Runs a program and returns its output; raises CalledProcessError if it fails."""
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def train_on_noise(python: str, directory: Path) -> tuple[Path, Path]:
    """Makes a dataset of noise, and a store with a model whose weights do not matter."""
    dataset, store = directory / "dataset", directory / "store"
    run(python, PEER, "dataset", dataset)
    run("thumb_gesture", "train", "--json", "--force", "--epochs", 1, "--dataset", dataset, "--store", store)
    return dataset, store


def show_progress(text: str) -> None:
    """Replaces the progress line, in a terminal; an empty text clears it."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
