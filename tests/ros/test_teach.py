"""`make teach`: one command starts node and page, one Ctrl-C ends both."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import REPOSITORY, Program, is_alive
from test_page_server import has_node
from web import BINARY, Site, Viewer, free_port

SCRIPT = REPOSITORY / "scripts" / "teach.py"
Teach = Callable[..., Program]


@pytest.fixture
def teach(tmp_path: Path) -> Iterator[Teach]:
    """Starts the script with its own directory."""
    started: list[Program] = []

    def start(*options: str) -> Program:
        directory = tmp_path / "data"
        command = [sys.executable, "-u", str(SCRIPT), "--directory", str(directory), "--no-browser", *options]
        program = Program(tmp_path / f"teach{len(started)}.log", dict(os.environ), command)
        started.append(program)
        return program

    yield start
    for program in started:
        program.kill()


def address_of(program: Program) -> Site:
    """Waits until the address is printed."""
    deadline = time.monotonic() + 30
    while "Open http://127.0.0.1:" not in program.output():
        assert program.is_running() and time.monotonic() < deadline, program.output()
        time.sleep(0.05)
    return Site(int(program.output().split("Open http://127.0.0.1:")[1].split("/")[0]))


def test_one_interrupt_ends_node_and_page(teach: Teach, tmp_path: Path) -> None:
    port = free_port()
    program = teach("--port", str(port))
    site = address_of(program)
    assert site.port == port
    with Viewer(site) as viewer:
        viewer.wait_for(has_node, "the node")
        assert viewer.state["page"]["browser_camera"] is True
        assert viewer.ask({"camera": True}, "camera_credit")
        viewer.socket.send_frame(BINARY, b"rubbish")
    children = program.children()
    assert len(children) == 2
    assert program.end(timeout=15) == 0
    assert not any(is_alive(child) for child in children)
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0, "the frames of people are private"


def test_other_port_is_used_if_it_is_taken(teach: Teach) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        program = teach("--port", str(other.getsockname()[1]))
        site = address_of(program)
        assert site.get("/").status == 200 and site.port != other.getsockname()[1]
    program.process.send_signal(signal.SIGTERM)
    assert program.wait(15) == 0


def test_second_start_with_the_same_directory_is_refused(teach: Teach) -> None:
    first = teach("--port", str(free_port()))
    address_of(first)
    second = teach("--port", str(free_port()))
    assert second.wait(15) == 1
    assert "runs already" in second.output()
    # Twice, as people do: nothing is left running.
    children = first.children()
    first.process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    first.process.send_signal(signal.SIGINT)
    assert first.wait(15) == 0
    assert not any(is_alive(child) for child in children)


def test_end_of_a_program_is_reported(teach: Teach) -> None:
    program = teach("--port", str(free_port()))
    address_of(program)
    os.kill(program.children()[1], signal.SIGKILL)
    assert program.wait(20) == 1
    assert "has ended with status -9" in program.output()
