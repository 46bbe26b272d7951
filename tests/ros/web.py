"""A browser's part of the page, without a browser: HTTP requests, and a WebSocket of the standard library."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from harness import IN_NAMESPACE, Program, World


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@dataclass
class Answer:
    """A response of the page."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)

    def error(self) -> str:
        """The text for people in a failure."""
        return self.json()["error"]


class Site:
    """The page at a port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.origin = f"http://127.0.0.1:{port}"

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, timeout: float = 30
    ) -> Answer:
        """Sends a request as the page's own scripts would, unless the headers say otherwise."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        sent = {"Origin": self.origin} if method == "POST" else {}
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        connection.request(method, path, data, sent | (headers or {}))
        response = connection.getresponse()
        answer = Answer(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        )
        connection.close()
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        """GET."""
        return self.request("GET", path, headers=headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """POST; an object is sent as JSON."""
        return self.request("POST", path, {} if body is None else body, headers)

    def call(self, service: str, **fields: Any) -> Any:
        """Calls a service of the node; returns the response."""
        answer = self.post(f"/api/{service}", fields)
        assert answer.status == 200, answer.body
        return answer.json()

    def upload(self, label: str, image: bytes, **fields: str) -> Answer:
        """Adds an image file to a label."""
        path = f"/api/frames?{urlencode({'label': label} | fields)}"
        return self.request("POST", path, image, {"Content-Type": "application/octet-stream"})

    def open(self, **headers: str) -> WebSocket:
        """Opens the WebSocket."""
        return WebSocket(self.port, {"Origin": self.origin} | headers)


class Refused(Exception):
    """The WebSocket was not opened; the status says why."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class WebSocket:
    """A WebSocket (RFC 6455) that can also misbehave."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {
            "Host": f"127.0.0.1:{port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13",
        } | headers
        lines = ["GET /ws HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        while b"\r\n\r\n" not in self.buffer:
            self.receive_bytes()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        if status != 101:
            self.socket.close()
            raise Refused(status)

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def receive_bytes(self) -> None:
        """Waits for more bytes."""
        received = self.socket.recv(1 << 16)
        if not received:
            raise ConnectionError("the page has closed the connection")
        self.buffer += received

    def take(self, count: int) -> bytes:
        """The next bytes."""
        while len(self.buffer) < count:
            self.receive_bytes()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def send_frame(self, kind: int, data: bytes) -> None:
        """Sends a message in one frame."""
        length = len(data)
        if length < 126:
            head = struct.pack("!BB", 0x80 | kind, 0x80 | length)
        elif length < 1 << 16:
            head = struct.pack("!BBH", 0x80 | kind, 0x80 | 126, length)
        else:
            head = struct.pack("!BBQ", 0x80 | kind, 0x80 | 127, length)
        # The mask of zeros leaves the data as they are.
        self.socket.sendall(head + bytes(4) + data)

    def send(self, message: Any) -> None:
        """Sends JSON."""
        self.send_frame(TEXT, json.dumps(message).encode())

    def receive(self, timeout: float = 10) -> Any:
        """The next message: bytes, or JSON."""
        self.socket.settimeout(timeout)
        while True:
            first, second = self.take(2)
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", self.take(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self.take(8))
            data = self.take(length)
            kind = first & 0x0F
            if kind == CLOSE:
                raise ConnectionError("the page has closed the WebSocket")
            if kind == BINARY:
                return data
            if kind == TEXT:
                return json.loads(data)

    def is_silent(self, seconds: float) -> bool:
        """Whether no message arrives for a time."""
        try:
            self.receive(seconds)
        except TimeoutError:
            return True
        return False


def start_page(world: World, *, waits: bool = True, **parameters: Any) -> tuple[Program, Site]:
    """Starts the page of the node of this world."""
    given = {"page_port": free_port()} | parameters
    options = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
    program = world.start("teach_page", *IN_NAMESPACE, *options)
    if waits:
        world.wait_for(lambda: "The page is at " in program.output(), "the address of the page", program)
    return program, Site(given["page_port"])


class Viewer:
    """An open page: asks for updates and keeps the state."""

    def __init__(self, site: Site, cameras: list[str] | None = None, **headers: str) -> None:
        self.site = site
        self.socket = site.open(**headers)
        self.cameras = [""] if cameras is None else cameras
        self.state: dict[str, Any] = {}
        self.gestures: dict[str, Any] = {}
        self.replies: list[Any] = []
        self.picture: dict[str, Any] | None = None
        self.jpeg = b""

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.socket.close()

    def update(self) -> dict[str, Any]:
        """Asks for one update and waits for it, with its picture."""
        self.socket.send({"next": {"cameras": self.cameras}})
        while "update" not in (message := self.socket.receive()):
            self.replies.append(message)
        update = message["update"]
        self.state |= update["state"]
        self.gestures = update["gestures"]
        self.picture = update["picture"]
        self.jpeg = self.socket.receive() if self.picture else b""
        return update

    def wait_for(self, is_met: Any, what: str, timeout: float = 20) -> None:
        """Asks for updates until the condition is met."""
        deadline = time.monotonic() + timeout
        while not is_met(self):
            assert time.monotonic() < deadline, f"not within {timeout} s: {what}; the state is {self.state}"
            self.update()

    def ask(self, message: Any, key: str) -> Any:
        """Sends a message and returns the reply with this key."""
        self.socket.send(message)
        while True:
            reply = self.socket.receive()
            if key in reply:
                return reply[key]
            self.replies.append(reply)
