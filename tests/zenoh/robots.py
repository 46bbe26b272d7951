"""Two robots behind NAT, a camera on one and the node on the other, and a server that both reach, on machines of tests/network."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import namespaces
import zenoh_router
from harness import Program, free_domain
from namespaces import ADDRESSES, NetworkWorld

SERVER = "listener"
ROBOTS = ("camera", "node")
LOCAL = "tcp/127.0.0.1:7447"


def missing() -> str | None:
    """What this machine lacks for them; None if nothing."""
    return namespaces.missing() or (None if shutil.which("openssl") else "no openssl")


class Certificates:
    """A certificate authority, and certificates for the machines."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self._make("authority", "-days", "2")
        for machine, address in ADDRESSES.items():
            extensions = [f"subjectAltName=IP:{address}", "basicConstraints=critical,CA:FALSE"]
            signed = ["-CA", self.path("authority.pem"), "-CAkey", self.path("authority.key")]
            self._make(machine, "-days", "1", *signed, *(word for text in extensions for word in ("-addext", text)))

    def path(self, name: str) -> str:
        """Path of a certificate or a key."""
        return str(self.directory / name)

    def _make(self, name: str, *options: str) -> None:
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self.path(f"{name}.key")]
        files = ["-out", self.path(f"{name}.pem"), "-subj", f"/CN={name}"]
        subprocess.run(["openssl", "req", "-x509", *key, *files, *options], check=True, capture_output=True)

    def configuration(self, machine: str) -> dict[str, str]:
        """The fields with which a router shows its certificate, and accepts only those of this authority."""
        files = {"certificate": self.path(f"{machine}.pem"), "private_key": self.path(f"{machine}.key")}
        fields = {f"{role}_{name}": file for role in ("listen", "connect") for name, file in files.items()}
        fields["root_ca_certificate"] = self.path("authority.pem")
        return {f"transport/link/tls/{name}": f'"{file}"' for name, file in fields.items()} | {
            "transport/link/tls/enable_mtls": "true"
        }


class RobotWorld(NetworkWorld):
    """The server is where the page runs; nothing can connect to a robot, whose router listens for the programs of the robot only."""

    def start_routers(self) -> None:
        """Starts the routers, which connect over TLS."""
        self.certificates = Certificates(self.directory / "certificates")
        self.env |= zenoh_router.configuration(connect=[LOCAL])
        self.router = self.start_router()
        for robot in ROBOTS:
            self.start_router_of(robot, listen=[LOCAL], connect=[f"tls/{ADDRESSES[SERVER]}:7448"])

    def start_router(self) -> Program:
        """Starts the router of the server, which listens for the robots, and for the programs of the server."""
        return self.start_router_of(SERVER, listen=["tls/0.0.0.0:7448", LOCAL], connect=[])

    def start_router_of(self, machine: str, listen: list[str], connect: list[str]) -> Program:
        """Starts the router of a machine, and waits until programs can connect to it."""
        command = self.network.command(machine, (zenoh_router.program(),))
        fields = self.certificates.configuration(machine)
        environment = zenoh_router.configuration(fields, listen=listen, connect=connect)
        router = self.start_placed(command, f"router_of_{machine}", environment)
        router.wait_for_output(zenoh_router.READY)
        return router


@contextlib.contextmanager
def robot_world(directory: Path) -> Iterator[RobotWorld]:
    """The machines and their routers."""
    with namespaces.Network() as network, free_domain() as domain, RobotWorld(directory, domain, network) as world:
        yield world
