"""The way between a browser and the page, which can be slow, or cut without a word, as by a phone that leaves the Wi-Fi."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from urllib.parse import urlsplit

CHUNK = 1 << 16
# As in a network with limited buffers: about a packet at a time, and little that waits.
PACKET = 1460
BUFFER = 1 << 14


class Network:
    """Forwards connections from a port of its own to a server, each with so many bits per second, both directions together."""

    def __init__(self, address: str, bits_per_second: float = 0) -> None:
        parts = urlsplit(address)
        self.server = (parts.hostname, parts.port)
        self.bits_per_second = bits_per_second
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.is_cut = threading.Event()
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.listen, daemon=True)]

    def __enter__(self) -> Network:
        self.threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.listener.close()

    def cut(self) -> None:
        """From now on no byte arrives, and no connection is closed."""
        self.is_cut.set()

    def mend(self) -> None:
        """New connections work again; those that were cut stay silent."""
        self.is_cut.clear()

    def listen(self) -> None:
        """Accepts connections until the end."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.forward, args=[client], daemon=True).start()

    def forward(self, client: socket.socket) -> None:
        """Forwards in both directions until one side closes, or forever nothing after a cut."""
        with client, socket.create_connection(self.server) as server, contextlib.suppress(OSError):
            other = {client: server, server: client}
            if self.bits_per_second:
                for end in other:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            was_cut = False
            is_free = time.monotonic()
            while not self.is_over.is_set():
                was_cut = was_cut or self.is_cut.is_set()
                if was_cut:
                    self.is_over.wait(0.05)
                    continue
                for ready in select.select(list(other), [], [], 0.05)[0]:
                    data = ready.recv(PACKET if self.bits_per_second else CHUNK)
                    if not data:
                        return
                    if self.bits_per_second:
                        is_free = max(is_free, time.monotonic()) + 8 * len(data) / self.bits_per_second
                        time.sleep(max(0, is_free - time.monotonic()))
                    if not self.is_cut.is_set():
                        other[ready].sendall(data)
