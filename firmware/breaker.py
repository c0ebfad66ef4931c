"""The circuit breaker of one robot. Pure: facts and `now` in, verdict out.

While it is open nothing but stop is sent to the robot, except one probe now and then, by the process that polls it. What it
stands at is kept in the robot's state row, which every process reads anyway and which outlives the bus and every process.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

State = Literal["closed", "open", "half_open"]

OPENS_AFTER_FAILURES = 5  # in a row: no connection, or no reply
PROBE_AFTER_S = (1.0, 2.0, 4.0)  # then every LONGEST_PROBE_S
LONGEST_PROBE_S = 5.0
TOLD_PROBES = frozenset({1, 2, 3, 4, 12})  # each has a journal row; of those that follow, one an hour has
TOLD_EVERY = 720
SILENCE = frozenset({"unreachable", "no_reply"})


@dataclass(frozen=True)
class Breaker:
    """Where it stands. `opened_at` None: closed. `probes`: how many have failed since it opened."""

    opened_at: datetime | None = None
    reason: str = ""
    probes: int = 0
    next_probe_at: datetime | None = None

    def state(self, now: datetime) -> State:
        """half_open: its probe is due or under way."""
        if self.opened_at is None or self.next_probe_at is None:
            return "closed"
        return "half_open" if now >= self.next_probe_at else "open"


CLOSED = Breaker()


def after_failure(before: Breaker, *, code: str, words: str, failures: int, now: datetime) -> Breaker:
    """Where it stands after a read of the state failed; `failures` in a row, this one counted."""
    if before.opened_at is not None:
        probes = before.probes + 1
        return Breaker(before.opened_at, before.reason, probes, now + timedelta(seconds=pause_s(probes)))
    if code in SILENCE and failures >= OPENS_AFTER_FAILURES:
        return opened(f"{failures} failures in a row, the last without an answer. {words}", now)
    return before


def opened(reason: str, now: datetime) -> Breaker:
    return Breaker(now, reason[:300], 0, now + timedelta(seconds=pause_s(0)))


def pause_s(probes: int) -> float:
    """How long until the next probe, after so many that failed."""
    return PROBE_AFTER_S[probes] if probes < len(PROBE_AFTER_S) else LONGEST_PROBE_S


def is_told(probes: int) -> bool:
    """Whether this failed probe gets a row in the journal: at first each, for a robot that stays away one an hour."""
    return probes in TOLD_PROBES or probes % TOLD_EVERY == 0
