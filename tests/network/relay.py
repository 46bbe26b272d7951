"""Connects network namespaces by a link with delay, loss and a limited rate; not every kernel has netem.

`relay.py NAMESPACE...` makes an interface `eth0` in each namespace, prints `ready`, and then passes Ethernet frames between them. Each
line on its standard input is an array in JSON, a namespace and the new `Conditions` of the link to it. The interfaces disappear with
the process.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import json
import os
import random
import selectors
import struct
import sys
import time
from dataclasses import dataclass

TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
CLONE_NEWNET = 0x40000000
MAX_FRAME = 2048
# Of the address to which a frame is sent.
IP_MULTICAST = b"\x01\x00\x5e"
# Bytes that wait at a limited rate, for at most this time; further ones are lost, as in a router.
MAX_QUEUE_SECONDS = 0.1


@dataclass
class Conditions:
    """What happens to the frames on a link, in each direction."""

    delay: float = 0.0
    """Seconds."""
    loss: float = 0.0
    """Share of frames, 0 to 1."""
    rate: float = 0.0
    """Bytes per second; 0 for no limit."""
    is_up: bool = True
    has_multicast: bool = True
    """Whether multicast passes, which many access points of Wi-Fi filter."""


class Port:
    """The link to one namespace."""

    def __init__(self, namespace: str) -> None:
        self.conditions = Conditions()
        # When the last frame has left, from the namespace and towards it.
        self.busy_until = [0.0, 0.0]
        with in_namespace(namespace):
            self.file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.file, TUNSETIFF, struct.pack("16sH14s", b"eth0", IFF_TAP | IFF_NO_PI, b""))

    def pass_frame(self, frame: bytes, begin: float, direction: int, chance: float) -> float | None:
        """When a frame that begins its way at this time is over the link; None if it is lost."""
        conditions = self.conditions
        is_filtered = frame.startswith(IP_MULTICAST) and not conditions.has_multicast
        if not conditions.is_up or is_filtered or chance < conditions.loss:
            return None
        if conditions.rate:
            waiting_until = self.busy_until[direction]
            if waiting_until - begin > MAX_QUEUE_SECONDS:
                return None
            begin = self.busy_until[direction] = max(begin, waiting_until) + len(frame) / conditions.rate
        return begin + conditions.delay

    def send(self, frame: bytes) -> None:
        """Sends a frame into the namespace; it is lost if the interface is down, or its queue full."""
        try:
            os.write(self.file, frame)
        except OSError:
            pass


class in_namespace:  # noqa: N801
    """Moves the current thread to a network namespace, in a `with` statement."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        self.previous = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        target = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        enter(target)
        os.close(target)

    def __exit__(self, *_: object) -> None:
        enter(self.previous)
        os.close(self.previous)


def enter(namespace: int) -> None:
    """Moves the current thread to the network namespace of an open file."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Relay:
    """Passes frames between ports, as a switch."""

    def __init__(self, names: list[str]) -> None:
        self.links = {name: Port(name) for name in names}
        self.ports = list(self.links.values())
        self.random = random.Random(1)
        self.addresses: dict[bytes, Port] = {}
        # Time, number of the frame, its port, the frame.
        self.waiting: list[tuple[float, int, Port, bytes]] = []
        self.count = 0

    def run(self) -> None:
        """Runs until the end of standard input."""
        selector = selectors.DefaultSelector()
        selector.register(sys.stdin, selectors.EVENT_READ)
        for port in self.ports:
            selector.register(port.file, selectors.EVENT_READ, port)
        os.set_blocking(sys.stdin.fileno(), False)
        commands = b""
        while True:
            timeout = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else None
            for key, _ in selector.select(timeout):
                if key.data is not None:
                    self.receive(key.data)
                    continue
                data = os.read(sys.stdin.fileno(), 4096)
                if not data:
                    return
                *lines, commands = (commands + data).split(b"\n")
                for line in lines:
                    name, conditions = json.loads(line)
                    self.links[name].conditions = Conditions(**conditions)
            now = time.monotonic()
            while self.waiting and self.waiting[0][0] <= now:
                _, _, port, frame = heapq.heappop(self.waiting)
                port.send(frame)

    def receive(self, port: Port) -> None:
        """Takes the frames that a namespace has sent."""
        for _ in range(64):
            try:
                frame = os.read(port.file, MAX_FRAME)
            except BlockingIOError:
                return
            self.addresses[frame[6:12]] = port
            target = self.addresses.get(frame[:6])
            for other in self.ports if target is None else [target]:
                if other is not port:
                    self.forward(port, other, frame)

    def forward(self, source: Port, target: Port, frame: bytes) -> None:
        """Sends a frame over both links."""
        now = time.monotonic()
        at_switch = source.pass_frame(frame, now, 0, self.random.random())
        arrives = at_switch and target.pass_frame(frame, at_switch, 1, self.random.random())
        if arrives is None:
            return
        if arrives <= now:
            target.send(frame)
            return
        self.count += 1
        heapq.heappush(self.waiting, (arrives, self.count, target, frame))


if __name__ == "__main__":
    relay = Relay(sys.argv[1:])
    print("ready", flush=True)
    relay.run()
