"""What the demo shows on the terminal, or writes into the file or pipe in its place."""

from __future__ import annotations

import os
import shutil
import sys
import time


class DemoError(Exception):
    """Why the demo cannot go on, in words for a person."""


class Screen:
    """Headings, lines, and one line that moves; where nothing can move, each line is printed once."""

    PLAIN_PERIOD = 0.5  # seconds
    BAR_WIDTH = 24

    def __init__(self) -> None:
        self.is_terminal = sys.stdout.isatty()
        self.is_bold = self.is_terminal and "NO_COLOR" not in os.environ
        self.is_line_open = False
        self.last_plain = 0.0

    def heading(self, name: str, explanation: str = "") -> None:
        """Begins a part."""
        name = f"\033[1m{name}\033[0m" if self.is_bold else name
        print(f"\n{name}  {explanation}".rstrip(" "), flush=True)

    def line(self, text: str) -> None:
        """A line that stays, in the place of the moving one."""
        print(f"\r\033[K  {text}" if self.is_line_open else f"  {text}", flush=True)
        self.is_line_open = False

    def moving_line(self, text: str) -> None:
        """A line in the place of the moving one before it; nothing where nothing can move."""
        if self.is_terminal:
            width = shutil.get_terminal_size().columns - 3
            print(f"\r\033[K  {text[:width]}", end="", flush=True)
            self.is_line_open = True

    def passing_line(self, text: str) -> None:
        """As `moving_line`, but where nothing can move a line twice a second."""
        if self.is_terminal:
            self.moving_line(text)
        elif time.monotonic() - self.last_plain >= self.PLAIN_PERIOD:
            self.last_plain = time.monotonic()
            self.line(text)

    def end_line(self) -> None:
        """Leaves the moving line as it is and goes on below it."""
        if self.is_line_open:
            print(flush=True)
        self.is_line_open = False


def bar(share: float) -> str:
    """A bar that is filled to that share, 0 to 1."""
    filled = round(Screen.BAR_WIDTH * min(max(share, 0.0), 1.0))
    return f"[{'#' * filled}{'.' * (Screen.BAR_WIDTH - filled)}]"


def percent(share: float) -> str:
    """A share as a person reads it; NaN is what nobody measured."""
    return f"{100 * share:.1f} %" if share == share else "not measured"
