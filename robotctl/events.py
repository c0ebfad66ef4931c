"""The doorbell: tells every web process that something is new. It knows the bus and nothing else.

`publish` never blocks and never raises: it hands the message to one daemon thread over a bounded queue. When the bus is
away the oldest messages are dropped, which is harmless: state is sent again with the next read, events are read from the
database by whoever missed a bell.
"""

import atexit
import threading
from collections import deque
from typing import Any

import msgspec
import redis
import structlog
from django.conf import settings

CHANNEL = "robotctl"
QUEUE_LIMIT = 2_000
SOCKET_TIMEOUT_S = 0.25
FLUSH_AT_EXIT_S = 0.5

log = structlog.get_logger(__name__)
_encode = msgspec.json.Encoder().encode


class Doorbell:
    """One queue, one thread, one connection to the bus; the thread starts with the first message."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.dropped = 0
        self._queue: deque[bytes] = deque(maxlen=QUEUE_LIMIT)
        self._ready = threading.Condition()
        self._thread: threading.Thread | None = None
        self._up = True

    def put(self, message: bytes) -> None:
        with self._ready:
            if len(self._queue) == QUEUE_LIMIT:
                self.dropped += 1
            self._queue.append(message)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
                self._thread.start()
            self._ready.notify()

    def flush(self, timeout_s: float = FLUSH_AT_EXIT_S) -> None:
        """Wait until the queue is empty, at most `timeout_s`."""
        with self._ready:
            self._ready.wait_for(lambda: not self._queue, timeout_s)

    def _run(self) -> None:
        bus = redis.Redis.from_url(self.url, socket_timeout=SOCKET_TIMEOUT_S, socket_connect_timeout=SOCKET_TIMEOUT_S)
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._queue)
                message = self._queue[0]
            self._send(bus, message)
            with self._ready:
                if self._queue and self._queue[0] is message:
                    self._queue.popleft()
                self._ready.notify_all()

    def _send(self, bus: redis.Redis, message: bytes) -> None:
        try:
            bus.publish(CHANNEL, message)
        except redis.RedisError as error:
            if self._up:
                log.warning("bus.lost", error=str(error))
            self._up = False
        else:
            if not self._up:
                log.info("bus.back", dropped=self.dropped)
            self._up = True


_doorbell: Doorbell | None = None
_making = threading.Lock()


def publish(topic: str, kind: str, data: dict[str, Any]) -> None:
    """Ring for `topic`.

    `kind="state"`: `data` is `{"seq", "at", "data"}` and travels as the finished frame that sockets get, serialised here
    once for all of them. `kind="bell"`: `data` says what to look up; the frames are made from the database.
    """
    global _doorbell
    if _doorbell is None:
        with _making:
            _doorbell = _doorbell or Doorbell(settings.REDIS_URL)
            atexit.register(_doorbell.flush)
    head = _encode([topic, kind, data.get("seq")])
    _doorbell.put(head + b"\n" + _encode({"type": kind, "topic": topic, **data}))


def split(message: bytes) -> tuple[str, str, int | None, bytes]:
    """Take a message from the bus apart: topic, kind, seq and the finished frame, which nobody needs to parse."""
    head, _, frame = message.partition(b"\n")
    topic, kind, seq = msgspec.json.decode(head, type=tuple[str, str, int | None])
    return topic, kind, seq, frame


def decode(frame: bytes) -> dict[str, Any]:
    """What a bell says."""
    found: dict[str, Any] = msgspec.json.decode(frame)
    return found
