"""The results of the parts of the suite."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from operations import Lost


@dataclass
class Result:
    """Trials of one kind, and what went wrong in them."""

    name: str
    trials: int = 0
    # A part that was given enough time tries at least this.
    goal: int = 0
    # Trials in which something was lost.
    lost: int = 0
    faults: list[str] = field(default_factory=list)
    note: str = ""
    skipped: str = ""

    def fault(self, trial: str, what: object) -> None:
        """Counts and prints a fault at once: what is needed to repeat it."""
        self.faults.append(f"{trial}: {what}")
        self.lost += isinstance(what, Lost)
        print(f"\nFAULT in {self.name}, {trial}: {what}", flush=True)


class Budget:
    """The time that a part may take."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until the end, at least 0."""
        return max(0.0, self.end - time.monotonic())

    def trials(self) -> Iterator[int]:
        """Numbers of trials until the time is over; at least one."""
        number = 0
        while number == 0 or self.left() > 0:
            yield number
            number += 1


def table(results: list[Result]) -> str:
    """All results, one per line."""
    rows = [("", "trials", "faults", "lost", "")]
    for result in results:
        counts = ("skipped", "", "") if result.skipped else (str(result.trials), str(len(result.faults)), str(result.lost))
        rows.append((result.name, *counts, result.skipped or result.note))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  {row[4]}".rstrip() for row in rows
    )
