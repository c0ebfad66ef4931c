"""How many requests may be open with one robot, and which of them it has not answered."""

import threading
import time
from dataclasses import dataclass, field

from firmware.errors import Busy

# A request that was never answered does not silence a robot for ever: after this long, reads go on in another slot.
PATIENCE_S = 120.0


@dataclass
class Slots:
    """How many requests may be open with the robot at once; the last is stop's."""

    limit: int
    open: int = 0
    unanswered_since: dict[int, float] = field(default_factory=dict)  # id(exchange) → monotonic
    unanswered_motion: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, *, reading: bool, stopping: bool) -> None:
        now = time.monotonic()
        with self.lock:
            if reading and any(now - since < PATIENCE_S for since in self.unanswered_since.values()):
                raise Busy("An earlier request is still unanswered; reads wait for it.")
            if self.open >= (self.limit if stopping else self.limit - 1):
                raise Busy(f"{self.open} requests are open with the robot; it is sent no more.")
            self.open += 1

    def give_back(self) -> None:
        with self.lock:
            self.open -= 1

    def keep_waiting(self, key: int, motion: bool) -> None:
        with self.lock:
            self.unanswered_since[key] = time.monotonic()
            self.unanswered_motion += motion

    def ended(self, key: int, motion: bool) -> None:
        with self.lock:
            self.open -= 1
            self.unanswered_since.pop(key, None)
            self.unanswered_motion -= motion
