"""A camera, a node and a listener on three machines: network namespaces that a relay connects."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ros"))
from harness import PROFILE_VARIABLE, REPOSITORY, World, free_domain  # noqa: E402

from relay import Conditions, in_namespace  # noqa: E402

RELAY = Path(__file__).parent / "relay.py"
PROFILE = REPOSITORY / "config" / "fastdds_network.xml"
ADDRESSES = {"camera": "10.83.0.1", "node": "10.83.0.2", "listener": "10.83.0.3"}
MACHINE_OF_PROGRAM = {"photo_camera": "camera", "thumb_gesture_node": "node"}


def missing() -> str | None:
    """What this machine lacks for the tests; None if nothing."""
    if shutil.which("ip") is None:
        return "no ip; install iproute2"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "no access to /dev/net/tun; the tests of networks need root"
    probe = f"thumb_{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True).returncode:
        return "cannot create a network namespace; the tests of networks need root"
    run("ip", "netns", "delete", probe)
    return None


def run(*command: str) -> None:
    """Runs a command that must succeed."""
    subprocess.run(command, check=True)


class Network:
    """The namespaces, with the link to each; in a `with` statement."""

    def __enter__(self) -> Network:
        self.names = {machine: f"thumb_{os.getpid()}_{machine}" for machine in ADDRESSES}
        for name in self.names.values():
            run("ip", "netns", "add", name)
        self.relay = subprocess.Popen(
            [sys.executable, str(RELAY), *self.names.values()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.relay.stdout is not None
        assert self.relay.stdout.readline() == "ready\n"
        for machine, name in self.names.items():
            run("ip", "-n", name, "address", "add", f"{ADDRESSES[machine]}/24", "dev", "eth0")
            # Longer than the bursts of raw images; an Ethernet card would slow the sender down instead of losing packets.
            run("ip", "-n", name, "link", "set", "eth0", "txqueuelen", "10000")
            for interface in ("lo", "eth0"):
                run("ip", "-n", name, "link", "set", interface, "up")
        return self

    def __exit__(self, *_: object) -> None:
        self.relay.kill()
        self.relay.wait()
        for name in self.names.values():
            run("ip", "netns", "delete", name)

    def set(self, machine: str, **conditions: float) -> None:
        """Changes the link to a machine: the fields of `Conditions`."""
        assert self.relay.stdin is not None
        line = json.dumps([self.names[machine], asdict(Conditions(**conditions))])
        self.relay.stdin.write(line + "\n")
        self.relay.stdin.flush()

    def command(self, machine: str, command: tuple[str, ...]) -> list[str]:
        """A command on a machine, which shares no memory with the others."""
        script = 'mount -t tmpfs tmpfs /dev/shm && exec "$@"'
        return ["ip", "netns", "exec", self.names[machine], "sh", "-c", script, "sh", *command]


class NetworkWorld(World):
    """A world whose camera and node run on machines of their own, and whose peer is the listener; in a `with` statement."""

    DISCOVERY_RANGE = "SUBNET"

    def __init__(self, directory: Path, domain: int, network: Network) -> None:
        self.network = network
        self.place = in_namespace(network.names["listener"])
        self.place.__enter__()
        super().__init__(directory, domain)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self.place.__exit__(kind, error, trace)

    def placed(self, command: tuple[str, ...]) -> list[str]:
        """The command that runs a program on its machine."""
        return self.network.command(MACHINE_OF_PROGRAM.get(command[0], "listener"), command)


@contextlib.contextmanager
def network_world(directory: Path, profile: str = str(PROFILE)) -> Iterator[NetworkWorld]:
    """The three machines, with a profile of Fast DDS; by default the package's for networks."""
    with Network() as network, free_domain() as domain, NetworkWorld(directory, domain, network) as world:
        world.env[PROFILE_VARIABLE] = profile
        yield world
