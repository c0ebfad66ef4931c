"""Which robots there are to stop, as each web process remembers it: looked up at start and every 10 s, never at a press.

The last that was read is kept, and mirrored encrypted in $ROBOTCTL_VAR: a process that starts without its database stops them, too.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import DatabaseError, close_old_connections

from accounts import stop_tickets
from firmware import credentials, spooling
from firmware.clients import client_for
from firmware.errors import BadProfile
from firmware.models import Robot

EVERY_S = 10.0
FIELDS = ("id", "slug", "name", "profile", "base_url", "sealed_credentials", "settings", "enabled", "simulated")

log = structlog.get_logger(__name__)


class StopTargets:
    """This process's memory of robots. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._robots: dict[str, Robot] = {}
        self._mirrored = b""
        self._again = threading.Event()
        self._thread: threading.Thread | None = None
        self._trouble = ""

    def start(self) -> None:
        """Take what the mirror says, and keep up with the database from now on."""
        if self._thread is None:
            self._read_mirror()
            self._thread = threading.Thread(target=self._run, name="stop-targets", daemon=True)
            self._thread.start()

    def look_again(self) -> None:
        """Something has changed: do not wait for the next turn."""
        self._again.set()

    def choose(self, ticket: stop_tickets.StopTicket, slug: str | None) -> list[Robot]:
        """The robots that this ticket may stop: the one, or (None) all. No database, cache or bus."""
        robots = self._robots
        if slug is not None:
            return [robots[slug]] if slug in robots and ticket.allows(slug) else []
        return [robot for robot in robots.values() if ticket.allows(robot.slug)]

    # --- keeping up -------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        while True:
            self._again.clear()
            for work in (self.load, stop_tickets.learn_revocations, spooling.bring_in):
                self._try(work)
            close_old_connections()
            self._again.wait(EVERY_S)

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
        except DatabaseError as error:
            if not self._trouble:
                log.warning("stop_targets.kept", robots=len(self._robots), error=str(error))
            self._trouble = str(error)
        except Exception:
            log.exception("stop_targets.failed")
        else:
            self._trouble = ""

    def load(self) -> None:
        """Read the robots in service; make their clients now, so that a press finds them ready. Raises DatabaseError."""
        rows = list(Robot.objects.filter(retired_at=None).order_by("slug").values(*FIELDS))
        self._take(rows)
        self._mirror(msgspec.json.encode(rows))
        for robot in self._robots.values():
            try:
                client_for(robot)
            except (BadProfile, credentials.Unreadable):
                continue  # its stop says what is wrong

    def _take(self, rows: list[dict[str, Any]]) -> None:
        self._robots = {row["slug"]: Robot(**row) for row in rows}

    def _mirror(self, document: bytes) -> None:
        if document == self._mirrored:
            return
        try:
            fresh = mirror().with_suffix(f".{time.monotonic_ns()}")
            fresh.touch(mode=0o600)
            fresh.write_bytes(credentials.encrypt(document))
            fresh.replace(mirror())
            self._mirrored = document
        except OSError as error:
            log.warning("stop_targets.not_mirrored", error=str(error))

    def _read_mirror(self) -> None:
        try:
            self._take(msgspec.json.decode(credentials.decrypt(mirror().read_bytes())))
        except FileNotFoundError:
            return  # the first start of all
        except (OSError, InvalidToken, msgspec.DecodeError, TypeError, KeyError) as error:
            log.warning("stop_targets.mirror_not_readable", error=type(error).__name__)


def mirror() -> Path:
    return Path(settings.ENV.var) / "stop-targets"


targets = StopTargets()
