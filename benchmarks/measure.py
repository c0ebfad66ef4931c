"""How subject and floor are compared: alternately, several times, medians and spread."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Figure:
    """One line of the table. `ratio` is subject / floor; where the goal is a difference, `unit` says so."""

    name: str
    subject: float
    floor: float
    ratio: float
    goal: str
    reached: bool
    unit: str
    spread: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def wall_ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def cpu_us(work: Callable[[], object], times: int) -> float:
    """CPU of this process for one call, in µs."""
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times * 1e6


def alternate(subject: Callable[[], float], floor: Callable[[], float], rounds: int) -> tuple[list[float], list[float]]:
    """Measure both in turn, so that a machine whose speed drifts is unfair to neither. The first round warms up."""
    subject(), floor()
    pairs = [(subject(), floor()) for _ in range(rounds)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def spread(values: list[float]) -> str:
    return f"{min(values):.3g}–{max(values):.3g}"
