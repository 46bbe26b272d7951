#!/usr/bin/env python3
"""Starts the gesture node and the page that teaches it, with this computer's camera in the browser: `make teach`."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from program import Program, ProgramError, parameters
from ros_domain import free_domain

IN_NAMESPACE = ["--ros-args", "-r", "__ns:=/jetbot"]
PORT = 8080
START_TIMEOUT = 30.0
SHUTDOWN_TIMEOUT = 10.0
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ADDRESS = "The page is at "

HELP = """\
Starts the gesture node and teach_page on this machine, prints the address of the page, and opens it
in a browser if there is a desktop. The page offers this computer's camera. Ctrl-C ends both.
Nothing leaves the machine, and nobody else can reach the page."""


class TeachError(Exception):
    """The page did not start, or cannot."""


def main() -> int:
    """Runs both programs until Ctrl-C; returns the exit status."""
    arguments = parse_arguments()
    for ending in ENDINGS:
        signal.signal(ending, signal.default_int_handler)
    try:
        directory = Path(arguments.directory).expanduser().absolute()
        # Frames show people: nobody else may read them.
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with only_one(directory), free_domain() as domain:
            os.environ["ROS_DOMAIN_ID"] = str(domain)
            os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
            os.environ["ROS_LOG_DIR"] = str(directory / "log")
            run(directory, arguments.port, not arguments.no_browser)
    except (TeachError, ProgramError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
    return 0


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Holds a lock on the directory: two nodes with one dataset would undo each other's edits."""
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TeachError(f"`make teach` runs already with {directory}; end it, or set TEACH_DIR") from None
        yield


def port_number(text: str) -> int:
    """A port, for argparse."""
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError
    return port


def parse_arguments() -> argparse.Namespace:
    """Parses the command line."""
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    parser = argparse.ArgumentParser(description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--directory",
        metavar="DIR",
        default=os.environ.get("TEACH_DIR") or f"{data}/thumb_gesture",
        help="where frames and models are kept [default: $TEACH_DIR, else ~/.local/share/thumb_gesture]",
    )
    parser.add_argument("--port", type=port_number, default=PORT, help=f"port of the page; another one if it is in use [{PORT}]")
    parser.add_argument("--no-browser", action="store_true", help="do not open the page")
    return parser.parse_args()


def run(directory: Path, port: int, opens_browser: bool) -> None:
    """Runs both programs until an interrupt, or until one of them ends."""
    programs: list[Program] = []
    # Ctrl-C is for this script, which ends the programs: they have sessions of their own.
    try:
        node = parameters(
            dataset=directory / "dataset",
            store=directory / "store",
            image_transport="compressed",
            image_reliability="reliable",
        )
        programs.append(Program(directory, "thumb_gesture_node", *IN_NAMESPACE, *node, own_session=True))
        options = parameters(page_port=free_port(port), browser_camera="true")
        page = Program(directory, "teach_page", *IN_NAMESPACE, *options, own_session=True)
        programs.append(page)
        address = wait_for_address(programs, page)
        print(f"Open {address} and allow the camera. Ctrl-C ends.")
        print(f"Frames and models are kept in {directory}.")
        if opens_browser:
            open_browser(address)
        while True:
            for program in programs:
                program.check()
            time.sleep(0.2)
    finally:
        # Another Ctrl-C must not leave one of them running.
        for ending in ENDINGS:
            signal.signal(ending, signal.SIG_IGN)
        for program in programs:
            program.interrupt()
        for program in programs:
            program.wait(SHUTDOWN_TIMEOUT)


def free_port(port: int) -> int:
    """The port, or 0, which stands for any free one, if it is in use."""
    with socket.socket() as probe:
        # As the page does: connections that were closed do not keep it from listening.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


def wait_for_address(programs: list[Program], page: Program) -> str:
    """Waits until the page listens; returns its address."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        for program in programs:
            program.check()
        for line in page.output().splitlines():
            if line.startswith(ADDRESS):
                return line.removeprefix(ADDRESS)
        time.sleep(0.05)
    raise TeachError(f"teach_page has printed no address within {START_TIMEOUT:.0f} s; see {page.log}")


def open_browser(address: str) -> None:
    """Opens the page where there is a desktop."""
    opener = shutil.which("xdg-open")
    if opener and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        # In a session of its own, so that Ctrl-C does not end a browser that it starts.
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.Popen([opener, address], start_new_session=True, **quiet)


if __name__ == "__main__":
    sys.exit(main())
