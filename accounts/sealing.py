"""Closing the journal when the scheduled work does not: its bus may be away, and robots are driven all the same."""

import threading

import structlog
from django.db import connections
from django.utils import timezone

from accounts import seals

EVERY_S = 10.0
LATE_S = 20.0  # twice what the scheduled work takes
log = structlog.get_logger("robotctl.journal")


class Sealing(threading.Thread):
    """Looks at the tail every ten seconds, and seals what has waited too long, until `end`. A database that is away is waited for."""

    def __init__(self, *, every_s: float = EVERY_S, late_s: float = LATE_S) -> None:
        super().__init__(name="sealing", daemon=True)
        self._every_s, self._late_s = every_s, late_s
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                tail = seals.tail()
                # Rows that were written late say nothing of how long they wait here: they wait no longer.
                if tail.count and (tail.oldest_at is None or tail.age_s(timezone.now()) >= self._late_s):
                    seals.seal()
            except Exception as error:  # noqa: BLE001 - a disk that is full, a key that is gone: it may come right, and this goes on
                log.warning("journal.not_sealed", error=str(error))
            finally:
                connections.close_all()

    def end(self) -> None:
        """A database that hangs is not waited for: robots' sockets are, after this."""
        self._ended.set()
        self.join(timeout=2)
