"""What `make run` tells about its children: who died and why, who is back, who was given up, and where the page is."""

import http.client
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

ESSENTIAL = frozenset({"bus", "web"})  # without them nothing of the product is left
DEATHS_ALLOWED = 6
DEATHS_WINDOW_S = 120.0
LAST_LINES = 8
SLOW_START_S = 60.0


def say(line: str) -> None:
    """Print a line. A terminal that was closed must not end the supervisor before its children."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except (OSError, ValueError):
        return


def last_lines(log: Path, count: int = LAST_LINES) -> list[str]:
    """The last lines that say something."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


def ordinal(number: int) -> str:
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number % 100 not in (11, 12, 13) else 0, "th")
    return f"{number}{suffix}"


def is_live(host: str, port: int) -> bool:
    """Whether the web process answers, be it with a redirect. Short time-outs: the supervisor waits here."""
    connection = http.client.HTTPConnection(host, port, timeout=0.5)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Watch:
    """Counts each child's deaths and tells what happens. `clock` is monotonic."""

    def __init__(self, logs: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.logs = logs
        self.clock = clock
        self.deaths: dict[str, deque[float]] = {}
        self.restarts: Counter[str] = Counter()
        self.down: set[str] = set()
        self.given_up: set[str] = set()
        self.fatal = ""  # why everything has to stop

    def died(self, name: str, how: str, again_in_s: int, retry: bool = True) -> bool:
        """A child died. True: start it again. False: it died too often."""
        now = self.clock()
        recent = self.deaths.setdefault(name, deque())
        recent.append(now)
        while recent[0] < now - DEATHS_WINDOW_S:
            recent.popleft()
        if not retry or len(recent) >= DEATHS_ALLOWED:
            self.give_up(name, f"{how}; {len(recent)} deaths within {DEATHS_WINDOW_S:.0f} s")
            return False
        self.down.add(name)
        self.restarts[name] += 1
        which = f" ({ordinal(self.restarts[name])} time)" if self.restarts[name] > 1 else ""
        wait = f" in {again_in_s} s" if again_in_s else ""
        say(f"{name} died ({how}), starting again{wait}{which}")
        return True

    def running(self, name: str) -> None:
        if name in self.down:
            self.down.discard(name)
            say(f"{name} is back")

    def give_up(self, name: str, how: str) -> None:
        if name in self.given_up:
            return
        self.given_up.add(name)
        self.down.discard(name)
        log = self.logs / f"{name}.log"
        lines = [
            f"{name} GIVEN UP ({how}). The end of {log}:",
            *(f"    {line}" for line in last_lines(log) or ["(empty)"]),
        ]
        if name in ESSENTIAL:
            self.fatal = "\n".join([*lines, f"robotctl cannot run without {name}: stopped."])
            say(f"{name} GIVEN UP ({how}), stopping everything")
        else:
            say("\n".join([*lines, f"The others go on without {name}; start robotctl again once that is mended."]))


class Banner:
    """Says once that the page is there, and how to sign in."""

    def __init__(self, host: str, port: int, var: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - a wildcard is no address to visit
        self.port = port
        self.var = var
        self.clock = clock
        self.slow_at = clock() + SLOW_START_S
        self.done = False

    def tick(self) -> None:
        if self.done:
            return
        if is_live(self.host, self.port):
            self.done = True
            say(self.text())
        elif self.clock() > self.slow_at:
            self.slow_at = float("inf")
            say(f"The page does not answer {SLOW_START_S:.0f} s after the start: see {self.var / 'log' / 'web.log'}")

    def text(self) -> str:
        try:
            password = (self.var / "demo-password").read_text().strip()
        except OSError:
            password = "as you set it"  # noqa: S105
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (
            f"robotctl is up at http://{host}:{self.port} — sign in as operator (also admin, engineer, viewer,"
            f" auditor); password: {password}\nCtrl-C stops everything. Logs: {self.var / 'log'}"
        )
