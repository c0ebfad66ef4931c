"""Sockets that a robot has not answered yet.

Some firmware dies when a client hangs up before the reply was written. So a socket whose reply did not come in time is
not closed but handed here: one thread waits for the reply or the end of the connection, and only then closes it.
"""

import atexit
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

LINGER_AFTER_FIRST_BYTE_S = 5.0
SHUTDOWN_WAIT_S = 10.0
REPLY_KEPT = 2048

log = structlog.get_logger(__name__)
OnEnd = Callable[[bytes], None]


@dataclass
class Unanswered:
    """One socket that waits. `on_end` gets the first bytes of the late reply, or b"" when the robot just closed."""

    sock: socket.socket
    what: str
    on_end: OnEnd
    since: float = field(default_factory=time.monotonic)
    first_byte_at: float | None = None
    reply: bytes = b""


class Drainer:
    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._waiting: set[int] = set()
        self._changed = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._incoming: list[Unanswered] = []

    def adopt(self, unanswered: Unanswered) -> None:
        """Take over a socket. Never blocks."""
        unanswered.sock.setblocking(False)
        with self._lock:
            self._incoming.append(unanswered)
            self._waiting.add(id(unanswered))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="drainer", daemon=True)
                self._thread.start()
        self._wake_write.send(b"x")

    def count(self) -> int:
        with self._lock:
            return len(self._waiting)

    def wait(self, timeout_s: float) -> int:
        """Wait until every socket has ended, at most `timeout_s`; how many have not."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, timeout_s)
            return len(self._waiting)

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select(timeout=1.0):
                if key.data is None:
                    self._wake_read.recv(4096)
                    self._register_incoming()
                else:
                    self._read(key.data)
            self._end_lingering()

    def _register_incoming(self) -> None:
        with self._lock:
            incoming, self._incoming = self._incoming, []
        for unanswered in incoming:
            self._selector.register(unanswered.sock, selectors.EVENT_READ, unanswered)

    def _read(self, unanswered: Unanswered) -> None:
        try:
            data = unanswered.sock.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
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
        self._selector.unregister(unanswered.sock)
        unanswered.sock.close()
        with self._changed:
            self._waiting.discard(id(unanswered))
            self._changed.notify_all()
        log.info(
            "link.late_end",
            what=unanswered.what,
            after_s=round(time.monotonic() - unanswered.since, 1),
            replied=bool(unanswered.reply),
        )
        unanswered.on_end(unanswered.reply)


drainer = Drainer()


@atexit.register
def _at_exit() -> None:
    """Give robots time to answer before the process, and with it every socket, goes."""
    left = drainer.wait(SHUTDOWN_WAIT_S) if drainer.count() else 0
    if left:
        log.warning("link.abandoned", sockets=left)
