"""Programs of the package that `make demo` and `make teach` run."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path


class ProgramError(Exception):
    """A program could not be started, or has ended."""


class Program:
    """A running program of the package, with its output in a log file.

    Ctrl-C in the terminal reaches it as well, unless it is in a session of its own.
    """

    def __init__(self, directory: Path, name: str, *arguments: str, own_session: bool = False) -> None:
        path = shutil.which(name)
        if path is None:
            raise ProgramError(f"{name} is not on PATH; run `make build`, and `. scripts/env.sh`")
        self.name = name
        self.log = directory / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [path, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=own_session
            )

    def output(self) -> str:
        """The output so far."""
        return self.log.read_text(errors="replace")

    def check(self) -> None:
        """Raises ProgramError if the program has ended."""
        status = self.process.poll()
        if status is not None:
            lines = self.output().strip().splitlines()[-5:]
            raise ProgramError("\n  ".join([f"{self.name} has ended with status {status}", *lines]))

    def interrupt(self) -> None:
        """Asks the program to end."""
        self.process.send_signal(signal.SIGINT)

    def wait(self, timeout: float) -> None:
        """Waits for the end of the program, and kills it after a timeout in seconds."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def parameters(**values: object) -> list[str]:
    """Arguments that set parameters of a node."""
    return [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]
