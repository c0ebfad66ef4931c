"""One hand on the wheel: who may move a robot now. Kept in the robot's state row; everybody sees it.

A free lease is taken by the first motion command, or on purpose. It ends by itself, by its holder, or is broken with a right
and a reason. Stop, halt and reset never ask for it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts import journal, permissions
from accounts.journal import iso
from accounts.models import JournalEntry, User
from firmware import recorder, state
from firmware.models import Robot, RobotState
from robotctl.problems import Problem

LEASE_S = 120.0  # without a renewal; pages renew theirs, and every motion command does


def words(row: RobotState) -> str:
    """Why somebody else may not move the robot."""
    since = f" since {row.lease_since:%H:%M:%S} UTC" if row.lease_since else ""
    return f"{row.lease_holder} holds control{since}."


def held(row: RobotState, more: str = "") -> Problem:
    """409 `lease_held`; the record, which keeps no names, says it in other words."""
    return Problem(409, "lease_held", words(row) + more, recorded="Somebody else holds control.")


def is_anothers(row: RobotState, user: User, now: datetime) -> bool:
    """Whether somebody else keeps `user` from moving the robot. Who may not command it any more (a shift that is over, an
    account that was closed) holds nothing: two queries, only when it is leased to another."""
    return row.leased_to_another(user.pk, now) and not _is_void(row)


def _is_void(row: RobotState) -> bool:
    holder = User.objects.filter(pk=row.lease_user_id or 0, is_active=True).first()
    return holder is None or not permissions.may(holder, "robot.command", row.robot)


def end_void() -> None:
    """Rights have changed: the leases of those who may command no more end, and everybody sees it.

    A grant that runs out by itself changes nothing that is written: there `is_anothers` is what counts.
    """
    now = timezone.now()
    leased = RobotState.objects.filter(lease_until__gt=now).select_related("robot__site")
    void = [row.robot_id for row in leased if _is_void(row)]
    if not void:
        return
    with recorder.changing(void) as rows:
        ended = [row for row in rows.values() if row.leased(now) and _is_void(row)]
        journal.record_all([_ended(row) for row in ended])
        for row in ended:
            _free(row)


def take(robot: Robot, user: User) -> dict[str, Any]:
    """Take the lease, or renew one's own. Raises Problem 409 `lease_held`."""
    now = timezone.now()
    with recorder.changing([robot.pk]) as rows:
        row = rows[robot.pk]
        if is_anothers(row, user, now):
            raise held(row)
        journal.record_all(_taken(row, user, now))
    return state.lease_shape(row, now)


def for_motion(robot: Robot, row: RobotState, user: User, now: datetime) -> None:
    """Have `user` hold the lease for a motion command; `row` is locked by the caller. Raises Problem 409 `lease_held`.

    Written only when it is new or half over: a command costs no second write.
    """
    if is_anothers(row, user, now):
        raise held(row)
    half = now + timedelta(seconds=LEASE_S / 2)
    if row.leased_by(user.pk, now) and row.lease_until is not None and row.lease_until > half:
        return
    with recorder.changing([robot.pk]) as rows:
        journal.record_all(_taken(rows[robot.pk], user, now))


def _taken(row: RobotState, user: User, now: datetime) -> list[JournalEntry]:
    slug = row.robot.slug
    told = [_ended(row)] if row.leased_to_another(user.pk, now) else []
    renewed = row.leased_by(user.pk, now)
    right_ends = permissions.holds_until(user, "robot.command", row.robot)  # a shift that is over lets go of the wheel
    row.lease_until = min(now + timedelta(seconds=LEASE_S), right_ends or datetime.max.replace(tzinfo=UTC))
    if not renewed:
        row.lease_user_id, row.lease_holder, row.lease_since = user.pk, user.get_username(), now
        told.append(journal.entry("lease.taken", slug, robot=slug, data={"until": iso(row.lease_until)}))
    return told


def _ended(row: RobotState) -> JournalEntry:
    """Of a lease whose holder may not command the robot any more."""
    slug, why = row.robot.slug, "Its holder may not command this robot any more."
    data = {"holder": journal.who(row.lease_user_id), "since": iso(row.lease_since)}
    return journal.entry("lease.ended", slug, robot=slug, reason=why, data=data)


def release(robot: Robot, user: User) -> dict[str, Any]:
    """Give one's own lease back; nothing happens when nobody holds it. Raises Problem 409 `lease_held`."""
    now = timezone.now()
    with recorder.changing([robot.pk]) as rows:
        row = rows[robot.pk]
        if is_anothers(row, user, now):
            raise held(row, " Only its holder gives it back; it can be broken.")
        if row.leased_to_another(user.pk, now):
            journal.record_all([_ended(row)])
            _free(row)
        elif row.leased(now):
            _free(row)
            journal.record("lease.released", robot.slug, robot=robot.slug)
    return state.lease_shape(row, now)


def break_(robot: Robot, *, reason: str) -> dict[str, Any]:
    """End somebody's lease. Motion under way goes on; who broke it may take it, or stop. Raises Problem 409 when it is free."""
    now = timezone.now()
    with recorder.changing([robot.pk]) as rows:
        row = rows[robot.pk]
        if not row.leased(now):
            raise Problem(409, "lease_free", "Nobody holds control of this robot.")
        data = {"holder": journal.who(row.lease_user_id), "since": iso(row.lease_since)}
        _free(row)
        journal.record("lease.broken", robot.slug, robot=robot.slug, reason=reason, data=data)
    return state.lease_shape(row, now)


def _free(row: RobotState) -> None:
    row.lease_user_id, row.lease_holder, row.lease_since, row.lease_until = None, "", None, None
