"""How subject and floor are compared: alternately, several times, medians and spread."""

import json
import os
import statistics
import subprocess
import sys
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


def in_process(module: str, database: str) -> list[Figure]:
    """The figures of a module that prints them as JSON in its last line, in a process of its own: Django knows one database."""
    environment = {**os.environ, "DATABASE_URL": database}
    command = [sys.executable, "-m", module]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    *told, last = done.stdout.splitlines() or [""]
    print("\n".join(told))
    if done.returncode:
        raise RuntimeError(f"{module} has measured nothing: {last}")
    return [Figure(**one) for one in json.loads(last)]


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
