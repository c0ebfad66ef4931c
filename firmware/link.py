"""How well a robot can be reached: figures over the last requests, and a score with every deduction. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from accounts.journal import iso
from firmware.breaker import Breaker
from firmware.fallback import Mode

WINDOW = 60  # requests that the figures are made over
FAILED = -1  # in the place of a latency
SLOW_MS, VERY_SLOW_MS = 300.0, 1000.0
CLOCK_OFF_S = 2.0
RESTART_REMEMBERED = timedelta(minutes=10)


@dataclass(frozen=True)
class Facts:
    """What is known of a link. `recent`: latencies in ms, oldest first, FAILED where there was no answer."""

    mode: Mode
    breaker: Breaker
    recent: Sequence[float]
    failures: int
    last_error_code: str
    restarted_at: datetime | None
    clock_offset_s: float | None


def remember(recent: list[float], took_s: float | None) -> list[float]:
    """The window after one more request; None: it was not answered."""
    return [*recent, FAILED if took_s is None else round(took_s * 1000, 1)][-WINDOW:]


def latency_ms(recent: Sequence[float]) -> dict[str, float | None]:
    """`{"p50","p95"}` in ms, of the requests that were answered."""
    answered = sorted(one for one in recent if one != FAILED)
    return {"p50": _percentile(answered, 0.50), "p95": _percentile(answered, 0.95)}


def _percentile(ordered: list[float], share: float) -> float | None:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def error_rate(recent: Sequence[float]) -> float | None:
    """The share of requests that were not answered, 0 to 1; None before the first."""
    return round(sum(one == FAILED for one in recent) / len(recent), 3) if recent else None


def deductions(facts: Facts, now: datetime) -> list[dict[str, Any]]:
    """`[{"cause","points"}]`, worst first; together at most 100, the last is cut."""
    found = sorted(_found(facts, now), key=lambda one: -one[1])
    left, told = 100, []
    for cause, points in found:
        if (points := min(points, left)) > 0:
            told.append({"cause": cause, "points": points})
            left -= points
    return told


def _found(facts: Facts, now: datetime) -> list[tuple[str, int]]:
    recent, p95, rate = facts.recent, latency_ms(facts.recent)["p95"], error_rate(facts.recent)
    failed = sum(one == FAILED for one in recent)
    found: list[tuple[str, int]] = []
    if facts.mode in ("offline", "degraded", "recovering"):
        found.append((f"The robot is {facts.mode}.", {"offline": 60, "degraded": 25, "recovering": 10}[facts.mode]))
    if facts.breaker.state(now) != "closed":
        found.append(("The circuit breaker is open.", 40))
    if facts.last_error_code == "frozen":
        found.append(("Its values are frozen.", 40))
    if rate:
        found.append((f"{failed} of the last {len(recent)} requests were not answered.", max(1, round(rate * 40))))
    if facts.failures >= 2:
        found.append((f"{facts.failures} failures in a row.", min(5 * facts.failures, 20)))
    if p95 is not None and p95 > SLOW_MS:
        found.append((f"Slow: 95 % of its answers within {p95:.0f} ms.", 20 if p95 > VERY_SLOW_MS else 10))
    if facts.restarted_at is not None and now - facts.restarted_at < RESTART_REMEMBERED:
        found.append(("It has restarted in the last 10 minutes.", 5))
    if facts.clock_offset_s is not None and abs(facts.clock_offset_s) > CLOCK_OFF_S:
        found.append((f"Its clock is off by {facts.clock_offset_s:+.0f} s.", 5))
    return found


def breaker_shape(held: Breaker, now: datetime) -> dict[str, Any]:
    """`{"state","reason","next_probe_at","opened_at","probes"}`"""
    state = held.state(now)
    return {
        "state": state,
        "reason": held.reason or None,
        "next_probe_at": iso(held.next_probe_at),
        "opened_at": iso(held.opened_at),
        "probes": held.probes,
    }


def words(held: Breaker) -> str:
    """Why nothing is sent now. Without times: it stands in a document that is read later, beside `next_probe_at`."""
    return f"The robot does not answer; until a probe is answered only stop is sent. {held.reason}".strip()
