"""What the parts of the benchmark share: running a program to its end, and telling a person how far it has come."""

import subprocess
import sys


def run(*command: object) -> str:
    """What the program printed; fails where it does."""
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def show_progress(text: str) -> None:
    """One line that the next one replaces, where someone looks; an empty text clears it."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
