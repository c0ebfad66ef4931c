"""Putting a reply on the wire: whole, or spoilt by a fault, or to a client that has gone."""

import json
import select
import socket
import struct
import threading
from http import HTTPStatus

from firmware.simulator.faults import Fault
from firmware.simulator.wire import Reply

OVERSIZE_BYTES = 5_000_000
RST_WAIT_MS = 30
# Linux tells of a peer's FIN by POLLRDHUP; elsewhere a peek has to do.
POLLRDHUP: int = getattr(select, "POLLRDHUP", 0)


class SigpipeError(Exception):
    """The reply was written to a client that had gone: the real firmware does not survive this."""


def head(reply: Reply, length: int, phrase: str) -> bytes:
    """Status line and headers."""
    return (
        f"HTTP/1.1 {reply.status} {phrase}\r\nContent-Type: {reply.content_type}\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ).encode()


def standard_phrase(status: int) -> str:
    """The reason phrase of the standard."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def inflated(reply: Reply) -> Reply:
    """The same reply, still valid JSON, grown to several megabytes."""
    try:
        document = json.loads(reply.body)
    except ValueError:
        return Reply(reply.status, reply.body + b" " * OVERSIZE_BYTES, reply.content_type)
    if not isinstance(document, dict):
        document = {"data": document}
    return Reply(reply.status, json.dumps(document | {"padding": "x" * OVERSIZE_BYTES}).encode(), reply.content_type)


def reset(connection: socket.socket) -> None:
    """Make the coming close() send RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _peer_is_gone(connection: socket.socket) -> bool:
    """Whether the peer has closed, or half-closed, its side."""
    if POLLRDHUP:
        poller = select.poll()
        poller.register(connection, POLLRDHUP)
        return bool(poller.poll(0))
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _await_rst(connection: socket.socket) -> None:
    """A closed peer answers our first bytes with RST, a half-closed one just reads them."""
    poller = select.poll()
    poller.register(connection, 0)  # POLLERR and POLLHUP come unasked
    poller.poll(RST_WAIT_MS)


def _drip(connection: socket.socket, payload: bytes, pause_s: float, abort: threading.Event) -> None:
    for offset in range(len(payload)):
        connection.sendall(payload[offset : offset + 1])
        if abort.wait(pause_s):
            return


def transmit(
    connection: socket.socket, reply: Reply, faults: dict[str, Fault], abort: threading.Event, *, fragile: bool
) -> None:
    """Send a reply. `fragile` is the observed firmware, which SIGPIPE kills.

    A FIN alone does not tell a closed client from a half-closed one. So where there is one the reply goes out in two
    writes: the first makes a closed client's kernel answer RST, the second then fails.

    Only a client that was gone before its reply was written kills; one that leaves in the middle of a reply does not.
    """
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if "oversize" in faults:
        reply = inflated(reply)
    first = head(reply, len(reply.body), "OK" if fragile else standard_phrase(reply.status))
    rest = reply.body[: len(reply.body) // 2] if "cut" in faults else reply.body
    # Looked at last: a client that leaves after this has had its reply written, and is no danger.
    gone = fragile and _peer_is_gone(connection)
    try:
        if gone:
            connection.sendall(first)
            _await_rst(connection)
            connection.sendall(rest)
        elif "drip" in faults:
            _drip(connection, first + rest, faults["drip"].value, abort)
        else:
            connection.sendall(first + rest)
    except (BrokenPipeError, ConnectionResetError) as error:
        if gone:
            raise SigpipeError(reply.status) from error
    except OSError:
        return  # our own shutdown closed the connection
