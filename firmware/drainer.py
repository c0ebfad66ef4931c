"""Sockets that a robot has not answered yet.

Some firmware dies when a client hangs up before the reply was written. So a socket whose reply did not come in time is
not closed but handed here: one thread waits for the reply or the end of the connection, and only then closes it.
"""

import atexit
import os
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

LINGER_AFTER_FIRST_BYTE_S = 5.0
LATE_REPLY_BYTES = 4 * 1024 * 1024  # more is no reply: closing is safe once a part was read
SHUTDOWN_WAIT_S = 10.0
REPLY_KEPT = 2048

log = structlog.get_logger(__name__)
OnEnd = Callable[[bytes], None]


@dataclass(eq=False)
class Unanswered:
    """One socket that waits. `on_end` gets the first bytes of the late reply, or b"" when the robot just closed."""

    sock: socket.socket
    what: str
    on_end: OnEnd
    since: float = field(default_factory=time.monotonic)
    first_byte_at: float | None = None
    received: int = 0
    reply: bytes = b""


class Drainer:
    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._waiting: set[Unanswered] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._incoming: list[Unanswered] = []
        self._waited_s = 0.0
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)

    def begin_again_in_child(self) -> None:
        """After a fork: the sockets are the parent's to wait for. Closing our copies sends the robot nothing."""
        inherited, old = list(self._waiting), (self._selector, self._wake_read, self._wake_write)
        self._begin()
        for unanswered in inherited:
            unanswered.sock.close()
        for each in old:
            each.close()

    def adopt(self, unanswered: Unanswered) -> None:
        """Take over a socket. Never blocks."""
        with suppress(OSError):  # a dead socket ends as soon as it is read
            unanswered.sock.setblocking(False)
        with self._changed:
            self._incoming.append(unanswered)
            self._waiting.add(unanswered)
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="drainer", daemon=True)
                thread.start()
                self._thread = thread  # not before: if it cannot start, the next socket tries again
        with suppress(BlockingIOError):  # full: it is awake
            self._wake_write.send(b"x")

    def count(self) -> int:
        with self._changed:
            return len(self._waiting)

    def wait(self, timeout_s: float) -> int:
        """Wait until every socket has ended, at most `timeout_s`; how many have not."""
        began = time.monotonic()
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, timeout_s)
            self._waited_s += time.monotonic() - began
            return len(self._waiting)

    def wait_at_exit(self) -> int:
        """What is left of the shutdown's patience: who has waited already does not wait again."""
        return self.wait(max(0.0, SHUTDOWN_WAIT_S - self._waited_s)) if self.count() else 0

    def _run(self) -> None:
        while True:
            some = len(self._selector.get_map()) > 1
            for key, _ in self._selector.select(timeout=1.0 if some else None):
                if key.data is None:
                    self._wake_read.recv(4096)
                    self._register_incoming()
                else:
                    self._read(key.data)
            self._end_lingering()

    def _register_incoming(self) -> None:
        with self._changed:
            incoming, self._incoming = self._incoming, []
        for unanswered in incoming:
            try:
                self._selector.register(unanswered.sock, selectors.EVENT_READ, unanswered)
            except (ValueError, OSError):  # it is closed already
                self._end(unanswered)
            else:
                self._read(unanswered)  # a TLS socket may hold bytes that the selector does not see

    def _read(self, unanswered: Unanswered) -> None:
        try:
            data = unanswered.sock.recv(65536)
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            data = b""
        unanswered.received += len(data)
        if not data or unanswered.received > LATE_REPLY_BYTES:
            self._end(unanswered)
            return
        unanswered.first_byte_at = unanswered.first_byte_at or time.monotonic()
        unanswered.reply = (unanswered.reply + data)[:REPLY_KEPT]

    def _end_lingering(self) -> None:
        """Once part of the reply was read, closing is safe: a robot that keeps the line open need not be waited for."""
        now = time.monotonic()
        for key in list(self._selector.get_map().values()):
            first = key.data.first_byte_at if key.data else None
            if first is not None and now - first > LINGER_AFTER_FIRST_BYTE_S:
                self._end(key.data)

    def _end(self, unanswered: Unanswered) -> None:
        with suppress(KeyError, ValueError):  # never registered
            self._selector.unregister(unanswered.sock)
        unanswered.sock.close()
        unanswered.on_end(unanswered.reply)
        with self._changed:
            self._waiting.discard(unanswered)
            self._changed.notify_all()
        log.info(
            "link.late_end",
            what=unanswered.what,
            after_s=round(time.monotonic() - unanswered.since, 1),
            replied=bool(unanswered.reply),
        )


drainer = Drainer()
os.register_at_fork(after_in_child=drainer.begin_again_in_child)


@atexit.register
def _at_exit() -> None:
    """Give robots time to answer before the process, and with it every socket, goes."""
    left = drainer.wait_at_exit()
    if left:
        log.warning("link.abandoned", sockets=left)
