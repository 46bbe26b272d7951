"""Output of the demo to a terminal, file or pipe."""

from __future__ import annotations

import os
import shutil
import sys
import time


class DemoError(Exception):
    """An error message for the user; ends the demo."""


class Screen:
    """Prints headings, lines, and in a terminal a progress line that is overwritten."""

    SAMPLING_SECS = 0.5
    BAR_WIDTH = 24

    def __init__(self) -> None:
        self.is_terminal = sys.stdout.isatty()
        self.is_bold = self.is_terminal and "NO_COLOR" not in os.environ
        self.is_line_open = False
        self.last_sampled = 0.0

    def heading(self, name: str, explanation: str = "") -> None:
        """Prints the heading of a part."""
        name = f"\033[1m{name}\033[0m" if self.is_bold else name
        print(f"\n{name}  {explanation}".rstrip(" "), flush=True)

    def line(self, text: str) -> None:
        """Prints a line, which replaces an open progress line."""
        print(f"\r\033[K  {text}" if self.is_line_open else f"  {text}", flush=True)
        self.is_line_open = False

    def progress_line(self, text: str) -> None:
        """Replaces the progress line; prints nothing if the output is not a terminal."""
        if self.is_terminal:
            width = shutil.get_terminal_size().columns - 3
            print(f"\r\033[K  {text[:width]}", end="", flush=True)
            self.is_line_open = True

    def sampled_line(self, text: str) -> None:
        """As `progress_line`; if the output is not a terminal, prints a line at most every SAMPLING_SECS."""
        if self.is_terminal:
            self.progress_line(text)
        elif time.monotonic() - self.last_sampled >= self.SAMPLING_SECS:
            self.last_sampled = time.monotonic()
            self.line(text)

    def end_line(self) -> None:
        """Keeps the progress line and starts a new line."""
        if self.is_line_open:
            print(flush=True)
        self.is_line_open = False


def bar(share: float) -> str:
    """A bar that is filled to a share of 0 to 1."""
    filled = round(Screen.BAR_WIDTH * min(max(share, 0.0), 1.0))
    return f"[{'#' * filled}{'.' * (Screen.BAR_WIDTH - filled)}]"


def percent(share: float) -> str:
    """A share as a percentage; NaN means not measured."""
    return f"{100 * share:.1f} %" if share == share else "not measured"
