"""What this host does: rates and shares, never totals. Measured between two calls, so the first one has no rates."""

import os
import socket
import threading
import time
from collections.abc import Iterator

import psutil
from django.conf import settings
from django.utils import timezone

from monitoring.recording import Measured

HOST = f"host:{socket.gethostname()[:70]}"
EVERY_S = 5.0
SHORTEST_S = 0.5  # between two calls: a rate over less says little


class Host:
    """Remembers the counters of before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before: tuple[float, dict[str, float]] | None = None

    def measured(self) -> list[Measured]:
        at = timezone.now()
        units = {"percent": "%", "bytes_per_s": "B/s", "errors_per_s": "1/s", "celsius": "°C"}
        values = {**_shares(), **self._rates()}
        unit = {name: next((unit for end, unit in units.items() if name.endswith(end)), "") for name in values}
        return [Measured(HOST, name, unit[name], at, value) for name, value in values.items()]

    def _rates(self) -> dict[str, float]:
        with self._lock:
            now, counters = time.monotonic(), dict(_counters())
            if self._before is not None and now - self._before[0] < SHORTEST_S:
                return {}
            before, self._before = self._before, (now, counters)
        if before is None:
            return {}
        took_s = now - before[0]
        # A counter that fell began anew: what it says of the time before is not known.
        return {
            name: (value - before[1][name]) / took_s
            for name, value in counters.items()
            if name in before[1] and value >= before[1][name]
        }


def _shares() -> dict[str, float]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    times = psutil.cpu_times_percent(interval=None)  # since the last call in this process
    found = {
        "cpu_percent": max(0.0, 100.0 - times.idle - getattr(times, "iowait", 0.0)),
        "cpu_iowait_percent": getattr(times, "iowait", 0.0),
        "cpu_steal_percent": getattr(times, "steal", 0.0),
        "load_1m": os.getloadavg()[0],
        "memory_percent": memory.percent,
        "swap_percent": swap.percent,
        "disk_percent": psutil.disk_usage(str(settings.ENV.var)).percent,
    }
    found |= {f"cpu{number}_percent": share for number, share in enumerate(psutil.cpu_percent(None, percpu=True))}
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
