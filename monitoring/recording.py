"""Samples on their way into the database: one write for a batch, nothing absurd, nothing twice."""

import math
import threading
import time
from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from firmware import profile
from firmware.language.reads import Field
from firmware.models import Robot
from firmware.recorder import Contact
from monitoring.models import Sample, Series, in_ms

ACCEPTED_LATE = timedelta(hours=23)  # younger than anything that is pruned: its minute is still whole
ACCEPTED_EARLY = timedelta(seconds=5)  # clocks of two hosts
LARGEST = 1e15  # in whatever unit: more is no measurement
NO_ANSWER = frozenset({"unreachable", "no_reply", "address_refused"})
LOCK = 0x10D  # PostgreSQL's advisory locks: 0x10C is the lockout's
log = structlog.get_logger("robotctl.monitoring")


class Measured(NamedTuple):
    """One value. `source`: `host:<name>` or `robot:<slug>`."""

    source: str
    metric: str
    unit: str
    at: datetime
    value: float


class Known:
    """The numbers of the series, so that a batch of samples looks for none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str], tuple[int, str]] = {}  # (source, metric) → number, unit

    def forget(self) -> None:
        with self._lock:
            self._found.clear()

    def numbers(self, wanted: dict[tuple[str, str], str]) -> dict[tuple[str, str], int]:
        """`wanted`: (source, metric) → unit. Makes those that there are not."""
        with self._lock:
            if new := {key: unit for key, unit in wanted.items() if self._found.get(key, (0, None))[1] != unit}:
                self._make(new)
            return {key: self._found[key][0] for key in wanted}

    def _make(self, new: dict[tuple[str, str], str]) -> None:
        rows = [Series(source=source, metric=metric, unit=unit) for (source, metric), unit in new.items()]
        Series.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["source", "metric"], update_fields=["unit"]
        )
        sources = {source for source, _ in new}
        for pk, source, metric, unit in Series.objects.filter(source__in=sources).values_list(
            "pk", "source", "metric", "unit"
        ):
            self._found[source, metric] = (pk, unit)


known = Known()


def record(measured: Iterable[Measured]) -> int:
    """Write a batch; what is there already stays as it is. Returns how many were no measurements and are left out.

    Raises DatabaseError.
    """
    now, given = timezone.now(), list(measured)
    good = [one for one in given if _is_measurement(one, now)]
    if len(good) < len(given):
        odd = next(one for one in given if not _is_measurement(one, now))
        about = {"source": odd.source, "metric": odd.metric, "value": odd.value, "at": odd.at.isoformat()}
        log.warning("samples.refused", count=len(given) - len(good), **about)
    if good:
        try:
            _write(good)
        except IntegrityError:  # a series was deleted
            known.forget()
            _write(good)
    return len(given) - len(good)


def _is_measurement(one: Measured, now: datetime) -> bool:
    usual = now - ACCEPTED_LATE <= one.at <= now + ACCEPTED_EARLY
    return usual and math.isfinite(one.value) and abs(one.value) <= LARGEST


def _write(measured: list[Measured]) -> None:
    numbers = known.numbers({(one.source, one.metric): one.unit for one in measured})
    rows = [Sample(series_id=numbers[one.source, one.metric], at_ms=in_ms(one.at), value=one.value) for one in measured]
    with transaction.atomic():
        if connection.vendor == "postgresql":  # ids are seen in their order: see rollups
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        Sample.objects.bulk_create(rows, ignore_conflicts=True)


def of_contacts(contacts: Iterable[Contact]) -> list[Measured]:
    """What the poll loop has just read of robots: each field that its profile records, and how the link did."""
    batch = list(contacts)
    robots = Robot.objects.in_bulk({one.robot_id for one in batch})
    found = []
    for one in batch:
        if (robot := robots.get(one.robot_id)) is not None:
            found += _of_contact(f"robot:{robot.slug}", profile.load_or_unusable(robot.profile).fields, one)
    return found


def _of_contact(source: str, fields: dict[str, Field], one: Contact) -> list[Measured]:
    seen = one.observation
    silent = one.error is not None and one.error.code in NO_ANSWER  # a bad answer is one
    answered = Measured(source, "link_answered", "", one.at, 0.0 if silent else 1.0)
    if seen is None:
        return [answered]
    found = [answered]
    if seen.took_s is not None:
        found.append(Measured(source, "link_latency_ms", "ms", one.at, seen.took_s * 1_000))
    for name, value in seen.values.items():
        field = fields.get(name)
        if field is not None and field.record and isinstance(value, int | float) and not isinstance(value, bool):
            within = -LARGEST <= value <= LARGEST  # an integer may be larger than any float
            found.append(Measured(source, name, field.unit or "", one.at, float(value) if within else math.nan))
    return found


class Handover:
    """Takes what the poll loop reads, batch by batch, and writes it once a second. One thread at a time.

    While the database is away it holds what comes, the newest of it: raises DatabaseError each second, and writes when it is back.
    """

    EVERY_S = 1.0
    MOST = 10_000  # a contact holds its reply

    def __init__(self) -> None:
        self._held: deque[Contact] = deque(maxlen=self.MOST)
        self._written_at = time.monotonic()

    def __call__(self, batch: list[Contact]) -> None:
        self._held.extend(batch)
        if time.monotonic() - self._written_at >= self.EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Raises DatabaseError; nothing of what is held is lost then."""
        self._written_at = time.monotonic()
        held = list(self._held)
        self._held.clear()  # first: what cannot be written for another reason is not tried again for ever
        try:
            record(of_contacts(held))
        except DatabaseError:
            self._held.extend(held)
            raise
