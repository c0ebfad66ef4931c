"""A TCP proxy between robotctl and a robot: it can keep a reply back, or refuse connections, and sees who hangs up.

To the robot it is a polite client: a request goes out in one write, and its socket is closed only after the whole reply.
"""

import contextlib
import re
import select
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

LOOK_EVERY_S = 0.02
ROBOT_ANSWERS_WITHIN_S = 60.0


class Proxy:
    """In front of the robot at `url`; `self.url` is what robotctl is told instead."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._robot = (parts.hostname or "", parts.port or 80)
        self.requests: list[bytes] = []  # whole, as they came
        self.held: list[bytes] = []  # those whose reply was kept back
        self.hung_up: list[bytes] = []  # those whose sender left before the reply
        self._hold_next = False
        self._lock, self._flow, self._over = threading.Lock(), threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        self._server: socket.socket | None = None
        self.port = 0
        self.accept()
        self.url = parts._replace(netloc=f"127.0.0.1:{self.port}").geturl()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self.refuse()
        self._over.set()
        for thread in self._threads:
            thread.join(5)

    # --- what a test does with it -----------------------------------------------------------------------------------
    def withhold(self) -> None:
        """Keep the reply to the next request back until `release`; the robot gets the request at once."""
        with self._lock:
            self._flow.clear()
            self._hold_next = True

    def release(self) -> None:
        self._hold_next = False
        self._flow.set()

    def refuse(self) -> None:
        """Refuse connections, as a robot without power behind a live switch does."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
            server.close()

    def accept(self) -> None:
        """Listen, on the port that it had before."""
        if self._server is None:
            self._server = socket.create_server(("127.0.0.1", self.port))
            self.port = self._server.getsockname()[1]
            self._start(self._accept, self._server)

    # --- the wire ---------------------------------------------------------------------------------------------------
    def _start(self, work: Callable[[socket.socket], None], sock: socket.socket) -> None:
        thread = threading.Thread(target=work, args=[sock], daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):  # refuse() closes it
            while True:
                client, _ = server.accept()
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            request = _read(client, whole_request)
            if not whole_request(request):
                return  # connected and thought better of it
            with self._lock:
                self.requests.append(request)
                hold, self._hold_next = self._hold_next, False
            reply = self._ask(request)
            if hold:
                self.held.append(request)
                while not self._flow.wait(LOOK_EVERY_S) and not self._over.is_set():
                    pass
            if _has_left(client):
                self.hung_up.append(request)
                return
            client.sendall(reply)

    def _ask(self, request: bytes) -> bytes:
        """The robot's whole reply."""
        if not re.search(rb"(?im)^connection:", request.partition(b"\r\n\r\n")[0]):
            request = request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)  # one request, one connection
        with socket.create_connection(self._robot, timeout=ROBOT_ANSWERS_WITHIN_S) as robot:
            robot.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            robot.sendall(request)
            return _read(robot, _whole_reply)


def _read(sock: socket.socket, whole: Callable[[bytes], bool]) -> bytes:
    """Until `whole` says so or the other side ends it."""
    data = b""
    while not whole(data) and (more := sock.recv(65536)):
        data += more
    return data


def _has_left(sock: socket.socket) -> bool:
    """Whether the other side has closed or reset the connection; robotctl sends nothing after its request."""
    if not select.select([sock], [], [], 0)[0]:
        return False
    try:
        return sock.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def whole_request(data: bytes) -> bool:
    head, gap, body = data.partition(b"\r\n\r\n")
    return bool(gap) and len(body) >= (_length(head) or 0)


def _whole_reply(data: bytes) -> bool:
    """Whether more cannot come; without a length only the end of the connection tells."""
    head, gap, body = data.partition(b"\r\n\r\n")
    if not gap:
        return False
    if re.match(rb"HTTP/\S+ (204|304)", head):
        return True
    length = _length(head)
    if re.search(rb"(?im)^transfer-encoding:.*chunked", head):
        return body.endswith(b"0\r\n\r\n")
    return length is not None and len(body) >= length


def _length(head: bytes) -> int | None:
    found = re.search(rb"(?im)^content-length:[ \t]*(\d+)", head)
    return int(found[1]) if found else None
