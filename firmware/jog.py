"""Hold-to-run: a robot moves while somebody holds the button. Whatever ends the holding (the button, the page, its connection, the
lease, this process) ends the motion: every sign of the button moves a time on, and when that has passed the robot is halted.

Looked after twice: by the process that took the command, and by the poll process, for when that one is gone.
"""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts import journal
from accounts.models import User
from firmware import ending, execution, permitted, presence, profile, stop, threads
from firmware.language.actions import Hold
from firmware.models import Command, CommandStatus, RobotState
from firmware.telling import tell
from robotctl.problems import Problem

BEGINS_WITHIN = timedelta(seconds=2)  # until the first sign
LOOK_EVERY_S = 0.1
DATABASE_WITHIN_S = 0.7
LONGEST_HOLD = timedelta(seconds=10)
HALT_WITHIN = timedelta(seconds=10)
WHY = {"lease_held": "control was lost"}
NOTHING_BEGAN = (CommandStatus.CANCELLED, CommandStatus.EXPIRED, CommandStatus.REJECTED)

log = structlog.get_logger(__name__)
_watchers = ThreadPoolExecutor(256, thread_name_prefix="jog")


def hold_of(command: Command) -> Hold | None:
    spec = profile.load_or_unusable(command.robot.profile).commands.get(command.name)
    return spec.hold if spec else None


def beat(command: Command, user: User) -> datetime:
    """The button is still held. Returns until when that counts. Raises Problem 403 `not_yours`, 409 `lease_held`, `released`."""
    hold, now = hold_of(command), timezone.now()
    if hold is None or command.hold_until is None:
        raise Problem(409, "not_held", "This command is not one that is held.")
    if command.requested_by_id != user.pk:
        raise Problem(403, "not_yours", "Somebody else holds this.")
    row = RobotState.objects.get(robot=command.robot)
    if (objection := permitted.objection(command)) is not None and objection[0] not in ("released", "stop_latched"):
        let_go(command, why=WHY.get(objection[0], objection[1]))
        raise Problem(409, *objection)
    until = now + timedelta(seconds=hold.lost_after_s)
    held = Command.objects.filter(pk=command.pk, released_at=None, hold_until__gte=now)
    if row.stop_latched or held.update(hold_until=until) != 1:
        raise Problem(409, "released", "It has been let go, or stopped; press again to move on.")
    return until


def watch(command: Command) -> None:
    """See that it is let go when the signs of the button end."""
    threads.start(_watchers, _watch, command)


def _watch(command: Command) -> None:
    hold = hold_of(command)
    longest_s = max(BEGINS_WITHIN.total_seconds(), hold.lost_after_s if hold else 0.0)
    heard = moved_on = time.monotonic()
    until = command.hold_until
    while not threads.leaving.is_set():
        time.sleep(LOOK_EVERY_S)
        try:
            row = Command.objects.filter(pk=command.pk).values("hold_until", "released_at", "status").get()
        except DatabaseError:
            if time.monotonic() - heard > DATABASE_WITHIN_S:
                _stop(command, "the database does not answer")
                return
            continue
        heard = time.monotonic()
        if row["released_at"] is not None:
            return
        if row["hold_until"] != until:
            until, moved_on = row["hold_until"], heard
        silent = heard - moved_on > longest_s  # by a clock that nobody sets
        if silent or row["hold_until"] is None or row["hold_until"] < timezone.now():
            let_go(command, why="its page was lost")
            return
    let_go(command, why="robotctl was ended")


def find_lost(robot_ids: Iterable[int]) -> None:
    """For the poll process: what nobody holds any more, and nobody has let go of."""
    now = timezone.now()
    late = Q(hold_until__lt=now - timedelta(seconds=2 * LOOK_EVERY_S))  # the process that took it is given its turn
    never = Q(hold_until__gt=now + LONGEST_HOLD)  # the clock was set back
    for command in Command.objects.filter(late | never, released_at=None, robot_id__in=set(robot_ids)):
        threads.start(_watchers, let_go, command, why="its process was lost")


def let_go(command: Command, *, why: str) -> None:
    """Halt what is held, once. Where that cannot be written down at once, the robot is stopped instead."""
    claim = threads.start(threads.records, _claim, command, why)
    try:
        mine = claim.result(timeout=DATABASE_WITHIN_S)
    except (TimeoutError, DatabaseError):
        _stop(command, "the database does not answer")
        return
    if mine:
        _bring_to_rest(command, why)


def _claim(command: Command, why: str) -> bool:
    with transaction.atomic():
        held = Command.objects.filter(pk=command.pk, released_at=None, hold_until__isnull=False)
        if held.update(released_at=timezone.now()) != 1:
            return False
        tell("command.released", command, outcome=journal.Outcome.OK, data={"why": why})
    return True


def _bring_to_rest(command: Command, why: str) -> None:
    """Halt it; if the robot does not show that it halts, stop it."""
    hold = hold_of(command)
    detail = f"It was let go before it was sent: {why}."
    ending.end(command, CommandStatus.ACCEPTED, CommandStatus.CANCELLED, code="released", detail=detail)
    command.refresh_from_db()
    never_began = command.status in NOTHING_BEGAN or (command.status == CommandStatus.FAILED and not command.sent_at)
    if never_began or hold is None:
        return  # to halt, and failing that to stop, a robot that was told nothing would latch it for no reason
    if RobotState.objects.filter(robot=command.robot, stop_latched=True).exists():
        return  # a stop is the stronger
    halt = _halt(command, hold.release, f"{command} was let go: {why}")
    execution.run(halt.pk)
    halt.refresh_from_db()
    if halt.status not in (CommandStatus.CONFIRMED, CommandStatus.ACKNOWLEDGED):
        _stop(command, f"{halt.name} came to {halt.status}: {halt.detail}")


def _halt(command: Command, name: str, reason: str) -> Command:
    """The command that ends it. Nothing is asked before: it is no order of a person, but the end of one."""
    now = timezone.now()
    with transaction.atomic():
        made = Command.objects.create(
            robot=command.robot,
            name=name,
            kind="stop",
            reason=reason[:500],
            requested_by=command.requested_by,
            request_id=command.request_id,
            carrier=presence.me(),
            created_at=now,
            deadline_at=now + HALT_WITHIN,
        )
        tell("command.accepted", made, outcome=journal.Outcome.OK)
    return made


def _stop(command: Command, why: str) -> None:
    log.warning("jog.stopped", robot=command.robot.slug, command=command.pk, why=why)
    by = command.requested_by.get_username() if command.requested_by else "robotctl"
    stop.stop_robots([command.robot], by=by, reason=f"{command} could not be halted: {why}"[:500])
