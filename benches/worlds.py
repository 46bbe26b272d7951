"""Worlds of tests/ros whose programs print to a log instead of between the results."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "ros"))

from harness import Diagnostics, Program, World, free_domain, nanoseconds_of  # noqa: E402


@contextlib.contextmanager
def world_in(directory: Path, log: Path) -> Iterator[World]:
    """A world in a directory; the log is continued."""
    # World prints the output of the programs at the end.
    with log.open("a") as file, contextlib.redirect_stdout(file), free_domain() as domain, World(directory, domain) as world:
        yield world


class Received:
    """The frames of a camera that have reached the node, as /diagnostics counts them."""

    def __init__(self, world: World, diagnostics: Diagnostics, camera: Program) -> None:
        self.world = world
        self.diagnostics = diagnostics
        self.camera = camera

    def now(self) -> tuple[int, float]:
        """Their number in the next report, and its time in seconds."""
        self.diagnostics.arrays.clear()
        self.world.wait_for(self.diagnostics.status, "a report", self.camera)
        return self.diagnostics.count("frames received"), nanoseconds_of(self.diagnostics.arrays[-1].header.stamp) * 1e-9

    def share(self, seconds: float, rate_hz: float) -> float:
        """The share of the frames of this rate that reach the node in some seconds, from one report to another."""
        frames_before, begin = self.now()
        self.world.spin_for(seconds)
        frames_after, end = self.now()
        return (frames_after - frames_before) / ((end - begin) * rate_hz)
