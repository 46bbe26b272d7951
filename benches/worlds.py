"""Worlds of tests/ros whose programs print to a log instead of between the results."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "ros"))

from harness import World, free_domain  # noqa: E402


@contextlib.contextmanager
def world_in(directory: Path, log: Path) -> Iterator[World]:
    """A world in a directory; the log is continued."""
    # World prints the output of the programs at the end.
    with log.open("a") as file, contextlib.redirect_stdout(file), free_domain() as domain, World(directory, domain) as world:
        yield world
