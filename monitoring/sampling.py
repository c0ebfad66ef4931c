"""What this host does: rates and shares, never totals. Measured between two calls, so the first one has no rates."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import psutil
from django.conf import settings
from django.utils import timezone

from monitoring.recording import Measured

HOST = f"host:{socket.gethostname()[:70]}"
EVERY_S = 5.0
SHORTEST_S = 0.5  # between two calls: a rate over less says little


class Before(NamedTuple):
    """What was counted, and when (monotonic, s). `processors`: the seconds of all together, and of each."""

    at: float
    counters: dict[str, float]
    processors: list[Any]


class Host:
    """Remembers the counters of before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before: Before | None = None

    def measured(self) -> list[Measured]:
        at = timezone.now()
        units = {"percent": "%", "bytes_per_s": "B/s", "errors_per_s": "1/s", "celsius": "°C"}
        values = {**_shares(), **self._rates()}
        unit = {name: next((unit for end, unit in units.items() if name.endswith(end)), "") for name in values}
        return [Measured(HOST, name, unit[name], at, value) for name, value in values.items()]

    def _rates(self) -> dict[str, float]:
        with self._lock:
            now = Before(time.monotonic(), dict(_counters()), [psutil.cpu_times(), *psutil.cpu_times(percpu=True)])
            if self._before is not None and now.at - self._before.at < SHORTEST_S:
                return {}
            before, self._before = self._before, now
        if before is None:
            return {}
        found = _processors(before.processors, now.processors)
        # A counter that fell began anew: what it says of the time before is not known.
        for name, value in now.counters.items():
            if name in before.counters and value >= before.counters[name]:
                found[name] = (value - before.counters[name]) / (now.at - before.at)
        return found


def _processors(before: list[Any], now: list[Any]) -> dict[str, float]:
    """Shares of the time between: of all processors together, and of each."""
    whole = _spent(before[0], now[0])
    found = {f"cpu_{name}_percent": whole[name] for name in ("iowait", "steal") if name in whole}
    if whole:
        found["cpu_percent"] = _busy(whole)
    for number, (was, is_now) in enumerate(zip(before[1:], now[1:], strict=False)):
        if spent := _spent(was, is_now):
            found[f"cpu{number}_percent"] = _busy(spent)
    return found


def _spent(before: Any, now: Any) -> dict[str, float]:
    """On what the time went (%); nothing when none has passed. What guests use is in the user's time."""
    seconds = {
        name: max(0.0, getattr(now, name) - getattr(before, name)) for name in now._fields if "guest" not in name
    }
    total = sum(seconds.values())
    return {name: 100 * one / total for name, one in seconds.items()} if total else {}


def _busy(spent: dict[str, float]) -> float:
    return 100 - spent["idle"] - spent.get("iowait", 0.0)


def _shares() -> dict[str, float]:
    found = {
        "load_1m": os.getloadavg()[0],
        "memory_percent": psutil.virtual_memory().percent,
        "swap_percent": psutil.swap_memory().percent,
        "disk_percent": psutil.disk_usage(str(settings.ENV.var)).percent,
    }
    read = getattr(psutil, "sensors_temperatures", dict)  # not on every system
    warmest = max((one.current for group in read().values() for one in group), default=None)
    return found if warmest is None else found | {"temperature_celsius": warmest}


def _counters() -> Iterator[tuple[str, float]]:
    if (network := psutil.net_io_counters()) is not None:
        yield "network_rx_bytes_per_s", network.bytes_recv
        yield "network_tx_bytes_per_s", network.bytes_sent
        yield "network_errors_per_s", network.errin + network.errout + network.dropin + network.dropout
    if (disks := psutil.disk_io_counters()) is not None:
        yield "disk_read_bytes_per_s", disks.read_bytes
        yield "disk_write_bytes_per_s", disks.write_bytes


this_host = Host()
