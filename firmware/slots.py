"""How many requests may be open with one robot, and which of them it has not answered."""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from firmware.drainer import Unanswered, drainer
from firmware.errors import Busy

# A request that was never answered does not silence a robot for ever: after this long, reads go on in another slot.
PATIENCE_S = 120.0


@dataclass(eq=False)
class Exchange:
    """One request under way, from its slot to the end of its socket; what the connection reports about it."""

    what: str
    deadline: float  # monotonic
    drain: bool
    slots: "Slots"
    motion: bool = False
    check: Callable[[], None] = lambda: None  # called right before every write; raises when it must not go out any more
    sent_at: float | None = None  # epoch seconds; None: not a byte has left
    answered: bool = False  # a byte of the reply, or the end of the connection, has come
    drained: bool = False  # its socket now waits for the reply in the background
    trouble: str = ""  # why there is no connection

    def remaining_s(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left

    def begin_attempt(self) -> None:
        """A retry is a request of its own: what came for the one before is no answer to it."""
        self.sent_at, self.answered = None, False

    @property
    def must_not_close(self) -> bool:
        return self.drain and self.sent_at is not None and not self.answered

    def hand_over(self, sock: socket.socket) -> None:
        """Keep the socket, and its slot, until the robot answers or hangs up."""
        self.drained = True
        self.slots.keep_waiting(self)
        drainer.adopt(Unanswered(sock, self.what, lambda _: self.slots.ended(self)))


@dataclass
class Slots:
    """How many requests may be open with the robot at once; the last is stop's."""

    limit: int
    open: int = 0
    motion: int = 0  # motion requests sent, or about to be, that the robot may still obey
    unanswered_since: dict[Exchange, float] = field(default_factory=dict)  # monotonic
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, *, reading: bool, stopping: bool, motion: bool = False) -> None:
        with self.lock:
            if reading:
                self._refuse_reads()
            if self.open >= (self.limit if stopping else self.limit - 1):
                raise Busy(f"{self.open} requests are open with the robot; it is sent no more.")
            self.open += 1
            self.motion += motion

    def check_reads(self) -> None:
        """Raises Busy while reads must wait."""
        with self.lock:
            self._refuse_reads()

    def _refuse_reads(self) -> None:
        now = time.monotonic()
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
