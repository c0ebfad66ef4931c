"""Robots for the tests of the wire: the simulator, and one whose every byte the test decides."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from firmware import profile
from firmware.client import RobotClient
from firmware.drainer import drainer
from firmware.simulator import TOKENS, Simulator

MakeClient = Callable[..., RobotClient]


class ScriptedRobot:
    """A TCP server that records each request and answers the n-th with the n-th reply; the last one is repeated.

    A reply is bytes, "hang", "reset" or "close", or a function that gets the socket.
    """

    def __init__(self, *replies: Any, close: bool = True) -> None:
        self.replies, self._close = replies, close
        self.requests: list[bytes] = []
        self.closed_at: list[float] = []  # when a client had gone, for each "hang"
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            sock, _ = self._server.accept()
            if self._over.is_set():
                sock.close()
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            while not self._over.is_set():
                head = b""
                while b"\r\n\r\n" not in head:
                    if not (data := sock.recv(65536)):
                        return
                    head += data
                self.requests.append(head)
                reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
                if not self._answer(sock, reply) or self._close:
                    return

    def _answer(self, sock: socket.socket, reply: Any) -> bool:
        if reply == "hang":
            sock.settimeout(0.05)
            while not self._over.is_set():
                with contextlib.suppress(TimeoutError):
                    if not sock.recv(1):
                        self.closed_at.append(time.monotonic())
                        return False
        elif reply == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif callable(reply):
            reply(sock)
        elif reply != "close":
            sock.sendall(reply)
        return isinstance(reply, bytes)

    def stop(self) -> None:
        if self._over.is_set():
            return
        self._over.set()
        with socket.socket() as wake:
            wake.connect(("127.0.0.1", self.port))
        for thread in self._threads:
            thread.join(5)
        self._server.close()


def http(body: bytes = b"{}", status: str = "200 OK", kind: str = "application/json", *extra: str) -> bytes:
    """A reply as a well-behaved robot writes it."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *extra]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedRobot]]:
    robots: list[ScriptedRobot] = []

    def make(*replies: Any, **options: Any) -> ScriptedRobot:
        robots.append(ScriptedRobot(*replies, **options))
        return robots[-1]

    yield make
    for robot in robots:
        robot.stop()
    assert drainer.wait(5) == 0


@pytest.fixture
def observed() -> Iterator[Simulator]:
    with Simulator(dialect="observed") as robot:
        yield robot
        robot.clear()
        assert drainer.wait(5) == 0


@pytest.fixture
def client_for() -> Iterator[MakeClient]:
    """A client of the OHT-50's profile; keyword arguments change its `[transport]`."""
    made: list[RobotClient] = []

    def make(url: str, credentials: dict[str, str] | None = None, **transport: Any) -> RobotClient:
        spec = profile.load("oht50")
        spec = msgspec.structs.replace(spec, transport=msgspec.structs.replace(spec.transport, **transport))
        made.append(RobotClient(slug="oht", base_url=url, profile=spec, credentials=credentials or TOKENS))
        return made[-1]

    yield make
    for client in made:
        client.close()
