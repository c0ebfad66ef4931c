"""Faults that can be switched on by flag and at run time, for all requests, for some paths or for the next few."""

import threading
from dataclasses import dataclass, field

from firmware.simulator.wire import Json

# Name and default value: seconds, or an HTTP status for `error`; None where a value means nothing.
FAULTS: dict[str, float | None] = {
    "refuse": None,
    "hang": None,
    "slow": 3.0,
    "error": 500.0,
    "garbage": None,
    "html": None,
    "oversize": None,
    "cut": None,
    "drip": 0.05,
    "frozen": None,
    "disobey": None,
    "deny": None,
    "restart": None,
    "late_estop": 2.0,
    "no_reply_once": None,
    "reset_by_peer": None,
}


@dataclass
class Fault:
    """One active fault. `remaining` counts requests it will still hit; `released` lets go of those it holds."""

    name: str
    value: float
    path: str = "/"
    remaining: int | None = None
    released: threading.Event = field(default_factory=threading.Event)


class Faults:
    """The active faults of one robot; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: dict[str, Fault] = {}

    def set(self, name: str, value: float | None = None, path: str = "/", count: int | None = None) -> Fault:
        """Switch a fault on, replacing one of the same name. ValueError says what is wrong with the request."""
        if name not in FAULTS:
            raise ValueError(f"unknown fault {name!r}; known: {', '.join(FAULTS)}")
        if value is not None and (value < 0 or (name == "error" and not 400 <= value <= 599)):
            raise ValueError(f"value {value:g} makes no sense for fault {name!r}")
        if count is None and name == "no_reply_once":
            count = 1
        fault = Fault(name, FAULTS[name] or 0.0 if value is None else value, path, count)
        with self._lock:
            replaced = self._active.pop(name, None)
            self._active[name] = fault
        if replaced:
            replaced.released.set()
        return fault

    def clear(self, name: str | None = None) -> None:
        """Switch one fault off, or all; replies that were held go out now."""
        with self._lock:
            gone = [self._active.pop(key) for key in list(self._active) if name in (None, key)]
        for fault in gone:
            fault.released.set()

    def active(self, name: str) -> bool:
        """Whether a fault is switched on at all."""
        with self._lock:
            return name in self._active

    def take(self, path: str) -> dict[str, Fault]:
        """The faults that hit a request for `path`; each counted fault loses one."""
        with self._lock:
            hits = {
                fault.name: fault
                for fault in self._active.values()
                if path.startswith(fault.path) and fault.remaining != 0
            }
            for fault in hits.values():
                if fault.remaining is not None:
                    fault.remaining -= 1
            return hits

    def drop_held(self) -> None:
        """Wake every request that is being held, without switching anything off."""
        with self._lock:
            held = [(fault, fault.released) for fault in self._active.values()]
            for fault, _ in held:
                fault.released = threading.Event()
        for _, released in held:
            released.set()

    def describe(self) -> Json:
        """The active faults as JSON."""
        with self._lock:
            return {
                fault.name: {"value": fault.value, "path": fault.path, "remaining": fault.remaining}
                for fault in self._active.values()
            }
