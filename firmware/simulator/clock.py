"""The two clocks of a robot: one that only runs forward, one that shows the time of day."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime


class Clock:
    """The clocks of the host."""

    def now(self) -> float:
        """Monotonic seconds; every duration inside the simulator is measured with it."""
        return time.monotonic()

    def epoch(self) -> float:
        """Seconds since 1970; only ever printed into replies."""
        return time.time()

    def epoch_s(self) -> int:
        """Whole seconds since 1970."""
        return int(self.epoch())

    def epoch_ms(self) -> int:
        """Whole milliseconds since 1970."""
        return int(self.epoch() * 1000)

    def iso(self) -> str:
        """Time of day as ISO-8601 in UTC."""
        return datetime.fromtimestamp(self.epoch(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class StoppedClock(Clock):
    """Clocks that stand still: what a robot with a hung inner loop reads."""

    now_s: float
    epoch_now_s: float

    def now(self) -> float:
        return self.now_s

    def epoch(self) -> float:
        return self.epoch_now_s
