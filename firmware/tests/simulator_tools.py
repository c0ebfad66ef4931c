"""Raw HTTP for the tests of the simulator: a client that can misbehave in every way a client can."""

import json
import socket
import time
from collections.abc import Callable
from typing import Any

from firmware.simulator import TOKENS, Simulator


def connect(simulator: Simulator, timeout_s: float = 5.0) -> socket.socket:
    """An open connection that nothing has been sent on."""
    return socket.create_connection((simulator.host, simulator.port), timeout=timeout_s)


def raw(method: str, path: str, body: bytes = b"", token: str | None = None, extra: str = "") -> bytes:
    """A whole request as bytes."""
    auth = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{extra}{auth}Content-Length: {len(body)}\r\n\r\n".encode() + body


def read_all(sock: socket.socket) -> bytes:
    """Everything until the other side closes."""
    data = b""
    while chunk := sock.recv(65_536):
        data += chunk
    return data


def send(simulator: Simulator, request: bytes, timeout_s: float = 5.0) -> tuple[str, bytes]:
    """Head and body of the reply to a request sent in one piece."""
    with connect(simulator, timeout_s) as sock:
        sock.sendall(request)
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
    return head.decode(), body


def get(simulator: Simulator, path: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a GET."""
    head, body = send(simulator, raw("GET", path))
    return int(head.split()[1]), json.loads(body)


def post(
    simulator: Simulator, path: str, body: object = None, token: str | None = TOKENS["admin"]
) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a POST, by default as administrator."""
    payload = b"" if body is None else json.dumps(body).encode()
    head, reply = send(simulator, raw("POST", path, payload, token))
    return int(head.split()[1]), json.loads(reply)


def eventually(check: Callable[[], bool], within_s: float = 3.0) -> bool:
    """Whether `check` comes true in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.01)
    return check()


def refused(simulator: Simulator) -> bool:
    """Whether the robot's port refuses connections."""
    try:
        connect(simulator).close()
    except ConnectionRefusedError:
        return True
    return False
