"""Writes what was seen of robots: one transaction for a batch, and one document for each robot that changed.

The only writer of RobotState. Every change is made on a locked row, raises its `seq`, and is published on commit.
"""

import functools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts import journal
from accounts.journal import iso
from accounts.models import JournalEntry
from firmware import breaker, clock, conditions, fallback, interruptions, link, profile, state
from firmware.arrivals import arrivals
from firmware.client import Observation
from firmware.errors import FirmwareError, Frozen, Rejected
from firmware.language.kind import Profile
from firmware.language.words import MACHINE_STATE
from firmware.models import Command, CommandStatus, Robot, RobotState, StopStatus, Transition
from firmware.moments import moment as moment
from firmware.restarts import restarts
from robotctl import events

WRITTEN_LATE = timedelta(seconds=5)
STATE_FIELDS = [field.name for field in RobotState._meta.concrete_fields if not field.primary_key]


@dataclass(frozen=True)
class Contact:
    """One attempt to read a robot: what it said, or how it failed."""

    robot_id: int
    at: datetime
    read: str
    observation: Observation | None = None
    error: FirmwareError | None = None

    @classmethod
    def seen(cls, robot_id: int, observation: Observation) -> "Contact":
        return cls(robot_id, moment(observation.began_at), observation.read, observation=observation)

    @classmethod
    def failed(cls, robot_id: int, at: datetime, read: str, error: FirmwareError) -> "Contact":
        return cls(robot_id, at, read, error=error)


@contextmanager
def changing(robot_ids: Iterable[int]) -> Iterator[dict[int, RobotState]]:
    """Lock the rows of these robots, let the caller change them, write and publish them: one transaction."""
    with transaction.atomic():
        locked = RobotState.objects.select_for_update(of=("self",)).select_related("robot__site")
        rows = {row.robot_id: row for row in locked.filter(robot_id__in=set(robot_ids)).order_by("robot_id")}
        yield rows
        for row in rows.values():
            row.seq += 1
        # As an upsert, one plain statement; bulk_update would spell out a CASE for every field of every row.
        RobotState.objects.bulk_create(
            rows.values(), update_conflicts=True, unique_fields=["robot"], update_fields=STATE_FIELDS
        )
        transaction.on_commit(functools.partial(publish, list(rows.values())))


def publish(rows: Iterable[RobotState]) -> None:
    """Send each row's document to whoever watches."""
    now = timezone.now()
    for row in rows:
        document = state.document(row.robot, row, now)
        for topic, data in ((f"robot.{row.robot.slug}", document), (f"tile.{row.robot.slug}", state.tile(document))):
            events.publish(topic, "state", {"seq": row.seq, "at": iso(now), "data": data})


def record(contacts: list[Contact]) -> list[RobotState]:
    """Write a batch of contacts, and what follows from them: modes, restarts, stops that hold or were left, arrivals."""
    with changing(contact.robot_id for contact in contacts) as rows:
        now = (
            timezone.now()
        )  # not before: the rows may have been waited for, and others have written into them meanwhile
        told = [entry for row in rows.values() for entry in clock.mend(row, now)]
        for contact in contacts:
            if contact.robot_id in rows:  # a robot may have gone meanwhile
                told += apply(rows[contact.robot_id], contact)
        for row in rows.values():
            told += _change_mode(row, _judged_at(row, now))
        told += arrivals(rows, now)
        journal.record_all(told)
    return list(rows.values())


def apply(row: RobotState, contact: Contact) -> list[JournalEntry]:
    """One contact onto one row. Returns what is to be journalled, last in the transaction."""
    row.last_attempt_at = max(row.last_attempt_at or contact.at, contact.at)
    spec = profile.load_or_unusable(row.robot.profile)
    if contact.error is not None:
        if isinstance(contact.error, Frozen):
            _take_back(row, spec, contact.read, contact.error.since)
        return _failed(row, contact.error, contact.at, of_state=contact.read == spec.state_read)
    seen = contact.observation
    assert seen is not None
    told = _answered(row, seen, of_state=contact.read == spec.state_read)
    row.last_contact_at = max(row.last_contact_at or moment(seen.ended_at), moment(seen.ended_at))
    told += restarts(row, spec, seen)
    before = interruptions.state_before(row)
    for name, value in seen.values.items():
        if name not in row.readings or row.readings[name][1] < seen.began_at:  # a read begun before never overwrites
            row.readings[name] = [value, seen.began_at]
    follows = conditions.derived(spec, row.readings)
    row.readings |= {name: list(reading) for name, reading in follows.items()}
    told += interruptions.told_of_state(row, spec, before)
    if stop_fields(spec) & (seen.values.keys() | follows.keys()):
        told += _watch_stop(row, spec, moment(seen.began_at), moment(seen.ended_at))
    return told


def stop_fields(spec: Profile) -> set[str]:
    """The fields that show a stopped robot."""
    return {name for condition in spec.stop.stopped for name in condition}


def _answered(row: RobotState, seen: Observation, *, of_state: bool) -> list[JournalEntry]:
    """A read was answered. The link is judged by the state: of the others, one may be refused for ever and the robot be well."""
    if seen.took_s is not None:
        row.recent = link.remember(row.recent, seen.took_s)
    if seen.clock_offset_s is not None:
        row.clock_offset_s = seen.clock_offset_s
    if not of_state:
        return []
    row.failures = 0
    row.successes += 1
    row.last_error = row.last_error_code = ""
    row.last_success_at = moment(seen.ended_at)
    return close_breaker(row, "The robot answers.")


def _failed(row: RobotState, error: FirmwareError, at: datetime, *, of_state: bool) -> list[JournalEntry]:
    """A read failed. The link counts what tells of the robot as a whole: its state, and silence."""
    row.last_error, row.last_error_code = str(error)[:300], error.code
    silent = error.code in breaker.SILENCE
    if silent:
        row.recent = link.remember(row.recent, None)
    if of_state or silent:
        row.failures += 1
        row.successes = 0
    if isinstance(error, Rejected | Frozen):  # it says no, or nothing new, but it is there
        row.last_contact_at = at
        return close_breaker(row, "The robot answers.")
    before, slug = row.breaker, row.robot.slug
    row.breaker = breaker.after_failure(before, code=error.code, words=str(error), failures=row.failures, now=at)
    if before.opened_at is None:
        return _breaker_opened(row) if row.breaker_opened_at is not None else []
    if not breaker.is_told(row.breaker_probes):
        return []
    data = {"probes": row.breaker_probes, "next_probe_at": iso(row.next_probe_at), "error": row.last_error}
    return [journal.entry("breaker.probed", slug, robot=slug, outcome=journal.Outcome.FAILED, data=data)]


def _take_back(row: RobotState, spec: Profile, read: str, since: float) -> None:
    """Values that were read while the robot's heartbeat stood still are as old as its last beat."""
    for name, _ in spec.fields_of(read):
        if name in row.readings:
            row.readings[name][1] = min(row.readings[name][1], since)
    row.readings |= {name: list(reading) for name, reading in conditions.derived(spec, row.readings).items()}


def _breaker_opened(row: RobotState) -> list[JournalEntry]:
    slug, data = row.robot.slug, {"next_probe_at": iso(row.next_probe_at)}
    return [journal.entry("breaker.opened", slug, robot=slug, reason=row.breaker_reason, data=data)]


def close_breaker(row: RobotState, reason: str) -> list[JournalEntry]:
    held, slug = row.breaker, row.robot.slug
    if held.opened_at is None:
        return []
    row.breaker = breaker.CLOSED
    data = {"probes": held.probes, "opened_at": iso(held.opened_at)}
    return [journal.entry("breaker.closed", slug, robot=slug, reason=reason, data=data)]


def _watch_stop(row: RobotState, spec: Profile, began_at: datetime, ended_at: datetime) -> list[JournalEntry]:
    """A latched stop: has the robot been read as stopped since the last attempt ended; has it left by itself?"""
    if not row.stop_latched:
        return []
    if row.stop_status != StopStatus.CONFIRMED:
        stopped = _reads_stopped(row, spec, row.stop_answered_at)
        if stopped and not motion_unanswered([row.robot_id]):
            return [confirm_stop(row, ended_at)]
        return []
    stopped = _reads_stopped(row, spec, row.stop_confirmed_at)
    resetting = row.resetting_until is not None and row.resetting_until > began_at
    if stopped is False and row.stop_left_at is None and not resetting:
        row.stop_left_at = began_at
        slug, machine = row.robot.slug, row.observed(MACHINE_STATE)[0]
        return [
            journal.entry(
                "stop.left",
                slug,
                robot=slug,
                outcome=journal.Outcome.FAILED,
                reason="the robot left its stop by itself",
                data={"machine_state": machine},
            )
        ]
    if stopped:
        row.stop_left_at = None
    return []


def _reads_stopped(row: RobotState, spec: Profile, since: datetime | None) -> bool | None:
    """Whether the robot reads stopped by what was read since then; None: that is not known."""
    if since is None:
        return None
    values = {name: value for name, (value, at) in row.readings.items() if moment(at) > since}
    if conditions.hold(spec.stop.stopped, values):
        return True
    return False if stop_fields(spec) <= values.keys() else None


def confirm_stop(row: RobotState, at: datetime) -> JournalEntry:
    """The robot reads stopped. Returns the journal row to be written."""
    row.stop_status, row.stop_confirmed_at, row.stop_left_at = StopStatus.CONFIRMED, at, None
    took_s = (at - row.stop_at).total_seconds() if row.stop_at else None
    data = {"attempts": row.stop_attempts, "confirmed_at": iso(at), "took_s": took_s}
    return journal.entry("stop.confirmed", row.robot.slug, robot=row.robot.slug, data=data)


def motion_unanswered(robot_ids: Iterable[int]) -> set[int]:
    """The robots to which some process has a motion request out that they may still obey: one query."""
    recent = timezone.now() - timedelta(minutes=2)
    sent = Command.objects.filter(robot_id__in=set(robot_ids), kind="motion", sent_at__gt=recent, answered_at=None)
    over = [
        CommandStatus.FAILED,
        CommandStatus.EXPIRED,
        CommandStatus.CANCELLED,
        CommandStatus.CONFIRMED,
    ]  # obeyed already
    return set(sent.exclude(status__in=over).values_list("robot_id", flat=True))


def _judged_at(row: RobotState, now: datetime) -> datetime:
    """What was written late, because the database was away, is judged as of its own time: the robot was not silent since."""
    newest = max(filter(None, (row.last_attempt_at, row.last_contact_at)), default=now)
    return newest if now - newest > WRITTEN_LATE else now


def _change_mode(row: RobotState, now: datetime) -> list[JournalEntry]:
    """Write the mode down when it is another than the last one written."""
    spec = profile.load_or_unusable(row.robot.profile)
    facts = state.contacts(row.robot, row, spec, now)
    old, new = row.recorded_mode, fallback.next_mode(row.recorded_mode, facts, now)
    if old == new:
        return []
    row.recorded_mode = new
    why = fallback.why(new, facts, now) + (
        f" {row.last_error}" if row.last_error and new in ("degraded", "offline") else ""
    )
    Transition.objects.create(robot=row.robot, at=now, old=old, new=new, reason=why[:300])
    told = []
    if new == "offline" and row.breaker_opened_at is None:
        row.breaker = breaker.opened(why, now)
        told = _breaker_opened(row)
    return [
        *told,
        journal.entry(f"robot.{new}", row.robot.slug, robot=row.robot.slug, reason=why[:300], data={"was": old}),
    ]


def rewired(robot: Robot, sealed_before: str, profile_before: str) -> None:
    """A robot's registration has changed: other credentials are journalled by name; another profile forgets the readings."""
    if robot.sealed_credentials != sealed_before:
        credentials_changed(robot)
    if robot.profile != profile_before:
        with changing([robot.pk]) as rows:
            rows[robot.pk].readings = {}


def credentials_changed(robot: Robot) -> None:
    data = {"names": sorted(robot.credentials)}
    journal.record("robot.credentials_changed", robot.slug, robot=robot.slug, data=data)


def look_at_modes(robot_ids: Iterable[int]) -> None:
    """Write down the modes that time alone has changed: silence is news, too."""
    now = timezone.now()
    stale = []
    for row in RobotState.objects.filter(robot_id__in=set(robot_ids)).select_related("robot"):
        if state.mode(row.robot, row, profile.load_or_unusable(row.robot.profile), now) != row.recorded_mode:
            stale.append(row.robot_id)
    if stale:
        with changing(stale) as rows:
            now = timezone.now()  # the rows may have been waited for
            journal.record_all([told for row in rows.values() for told in _change_mode(row, now)])
