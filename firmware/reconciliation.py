"""Commands that nobody carries out any more: their process was killed, or nobody agreed to them. None is left under way for ever.

What a dead process had sent is not sent again: the robot is read, and its state tells what came of it, or nobody knows.
"""

from collections.abc import Iterable
from datetime import timedelta

import structlog
from django.utils import timezone

from firmware import execution, orders, presence, readback, resolution, threads
from firmware.client import Observation
from firmware.clients import client_for
from firmware.credentials import Unreadable
from firmware.errors import BadProfile
from firmware.models import Command, CommandStatus
from firmware.orders import Look
from robotctl.problems import Problem

ABANDONED_AFTER = timedelta(seconds=45)  # past every time-out and read-back window; for processes on other machines
UNSENT = "Its process went away before it was sent."
UNKNOWN = "Its process went away while the robot was asked. What it did is unknown; look at its state."

log = structlog.get_logger(__name__)


def end_unapproved(robot_ids: Iterable[int]) -> None:
    """End the commands that no second person has agreed to in time."""
    late = Command.objects.filter(
        robot_id__in=set(robot_ids), status=CommandStatus.AWAITING_APPROVAL, deadline_at__lt=timezone.now()
    )
    for command in late.select_related("robot"):
        detail = "No second person agreed to it in time."
        execution.end(command, command.status, CommandStatus.EXPIRED, code="not_approved", detail=detail)


def take_over(robot_ids: Iterable[int]) -> None:
    """Find the commands whose process is gone, and see to each, once."""
    open_ = Command.objects.filter(robot_id__in=set(robot_ids), ended_at=None)
    for command in open_.exclude(status=CommandStatus.AWAITING_APPROVAL).select_related("robot"):
        if command.deadline_at < timezone.now() - ABANDONED_AFTER:
            _end_unread(command)
        elif command.carrier and presence.is_gone(command.carrier, forget=False):
            mine = Command.objects.filter(pk=command.pk, carrier=command.carrier).update(carrier=presence.me())
            if mine == 1:  # of several poll processes one takes it
                log.warning("command.taken_over", command=command.pk, status=command.status)
                threads.start(threads.commands, see_to, command)


def _end_unread(command: Command, seen: list[Observation] | None = None) -> None:
    if command.status == CommandStatus.ACCEPTED:
        execution.end(command, command.status, CommandStatus.EXPIRED, code="expired", detail=UNSENT)
    else:
        unknown = CommandStatus.OUTCOME_UNKNOWN
        execution.end(command, command.status, unknown, code="abandoned", detail=UNKNOWN, seen=seen)


def see_to(command: Command) -> None:
    """End it honestly: unsent, shown by the robot, or unknown."""
    look = _look(command) if command.status != CommandStatus.ACCEPTED else Look([], False, False)
    if look.shown and not resolution.told_since(command):
        detail = "Its process went away while the robot was asked; the robot's state shows that it obeys."
        execution.end(command, command.status, CommandStatus.CONFIRMED, detail=detail, seen=look.seen)
    else:
        _end_unread(command, look.seen)


def _look(command: Command) -> Look:
    """Read the robot, if anything that it reports could show what came of this."""
    nothing = Look([], False, False)
    try:
        client = client_for(command.robot)
        order = orders.order(client.profile, command.name, command.params)
    except (BadProfile, Unreadable, Problem):
        return nothing
    return readback.watch(order, client) if order.look is not None and order.job is None else nothing
