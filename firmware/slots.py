"""Requests under way: how many may be open with one robot, which it has not answered, when another attempt is made."""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import Any, Self

from urllib3.exceptions import InvalidHeader, MaxRetryError
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from firmware.drainer import OnEnd, Unanswered, drainer
from firmware.errors import Busy

# A request that was never answered does not silence a robot for ever: after this long, reads go on in another slot.
PATIENCE_S = 120.0


@dataclass(eq=False)
class Exchange:
    """One request under way, from its slot to the end of its socket; what the connection reports about it."""

    what: str
    deadline: float  # monotonic
    drain: bool
    reply_limit: int  # bytes
    slots: "Slots"
    motion: bool = False
    check: Callable[[], None] = lambda: None  # called right before every write; raises when it must not go out any more
    on_late: OnEnd | None = None  # gets what the robot said after we had stopped waiting; must not block
    sock: socket.socket | None = None  # what the request left on
    sent_at: float | None = None  # epoch seconds; None: not a byte has left
    answered: bool = False  # a byte of the reply, or the end of the connection, has come
    drained: bool = False  # its socket now waits for the reply in the background
    trouble: str = ""  # why there is no connection
    response: HTTPResponse | None = None

    def remaining_s(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left

    def begin_attempt(self) -> None:
        """A retry is a request of its own: what came for the one before is no answer to it."""
        self.sock, self.sent_at, self.answered, self.trouble = None, None, False, ""

    def begin_sending(self, sock: socket.socket | None) -> None:
        """The last moment to think better of it; from here on a byte may have left. Raises what `check` raises."""
        self.check()
        self.sock, self.sent_at = sock, time.time()

    def must_not_close(self, sock: socket.socket) -> bool:
        return self.drain and self.sock is sock and not self.answered

    def hand_over(self, sock: socket.socket) -> None:
        """Keep the socket, and its slot, until the robot answers or hangs up."""
        self.drained = True
        self.slots.keep_waiting(self)
        drainer.adopt(Unanswered(sock, self.what, self._late_end))

    def _late_end(self, reply: bytes) -> None:
        self.slots.ended(self)
        if self.on_late is not None:
            self.on_late(reply)


@dataclass
class Slots:
    """How many requests may be open with the robot at once; the last is stop's."""

    limit: int
    open: int = 0
    motion: int = 0  # motion requests sent, or about to be, that the robot may still obey
    unanswered_since: dict[Exchange, float] = field(default_factory=dict)  # monotonic
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, *, stopping: bool, motion: bool) -> None:
        with self.lock:
            if self.open >= (self.limit if stopping else self.limit - 1):
                raise Busy(f"{self.open} requests are open with the robot; it is sent no more.")
            self.open += 1
            self.motion += motion

    def check_reads(self) -> None:
        """Raises Busy while reads must wait."""
        now = time.monotonic()
        with self.lock:
            if any(now - since < PATIENCE_S for since in self.unanswered_since.values()):
                raise Busy("An earlier request is still unanswered; reads wait for it.")

    def give_back(self, *, motion: bool) -> None:
        with self.lock:
            self.open -= 1
            self.motion -= motion

    def keep_waiting(self, exchange: Exchange) -> None:
        with self.lock:
            self.unanswered_since[exchange] = time.monotonic()

    def ended(self, exchange: Exchange) -> None:
        with self.lock:
            self.open -= 1
            self.motion -= exchange.motion
            del self.unanswered_since[exchange]


under_way = threading.local()  # `.exchange`: the request that this thread has under way


class Attempts(Retry):
    """urllib3's, but it gives up when the pause before the next attempt, also one that the robot asks for, would outlast the
    deadline: a robot's word does not decide how long we wait."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        try:
            return super().get_retry_after(response)
        except InvalidHeader:
            return None

    def increment(self, *args: Any, **kwargs: Any) -> Self:
        retry = super().increment(*args, **kwargs)
        response = kwargs.get("response")
        asked_s = (self.get_retry_after(response) if response is not None else None) or 0.0
        if time.monotonic() + max(asked_s, retry.get_backoff_time()) >= under_way.exchange.deadline:
            raise MaxRetryError(kwargs["_pool"], args[1], kwargs.get("error"))
        return retry


# `read` and `other` are 0 in all of them: what was sent and not answered is not sent again. A TLS error while the reply
# is read counts as "other" for urllib3, which would send even a POST again.
READ_RETRY = Attempts(
    total=2,
    connect=2,
    read=0,
    other=0,
    status=2,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=("GET",),
    backoff_factor=0.1,
    backoff_jitter=0.1,
    backoff_max=1.0,
    respect_retry_after_header=True,
    raise_on_status=False,
    redirect=False,
)
ONCE = Attempts(
    total=0, read=0, other=0, redirect=False, raise_on_status=False
)  # polling, whose next tick is the retry; settings, registers
ACTION_RETRY = Attempts(
    total=1, connect=1, read=0, other=0, status=0, redirect=False, raise_on_status=False, backoff_factor=0.05
)
