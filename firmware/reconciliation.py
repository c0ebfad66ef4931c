"""Commands that nobody carries out any more: their process was killed, or nobody agreed to them. None is left under way for ever.

What a dead process had sent is not sent again: the robot is read, and its state tells what came of it, or nobody knows.
"""

from collections.abc import Collection, Iterable
from datetime import timedelta

import structlog
from django.utils import timezone

from firmware import ending, execution, following, orders, presence, readback, resolution, threads
from firmware.client import Observation, RobotClient
from firmware.clients import client_for
from firmware.credentials import Unreadable
from firmware.errors import BadProfile
from firmware.models import Command, CommandStatus
from firmware.moments import is_ahead
from firmware.orders import Look, Order
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
        ending.end(command, command.status, CommandStatus.EXPIRED, code="not_approved", detail=detail)


def take_over(robot_ids: Collection[int]) -> None:
    """Find the commands whose process is gone, and see to each, once."""
    open_ = Command.objects.filter(robot_id__in=set(robot_ids), ended_at=None)
    for command in open_.exclude(status=CommandStatus.AWAITING_APPROVAL).select_related("robot"):
        now = timezone.now()
        if command.deadline_at < now - ABANDONED_AFTER or is_ahead(command.created_at, now):
            _end_unread(command)
        elif command.carrier and presence.is_gone(command.carrier, forget=False):
            mine = Command.objects.filter(pk=command.pk, carrier=command.carrier).update(carrier=presence.me())
            if mine == 1:  # of several poll processes one takes it
                log.warning("command.taken_over", command=command.pk, status=command.status)
                threads.start(threads.commands, see_to, command)
    following.take_over(robot_ids)


def _end_unread(command: Command, seen: list[Observation] | None = None) -> None:
    if command.status == CommandStatus.ACCEPTED:
        ending.end(command, command.status, CommandStatus.EXPIRED, code="expired", detail=UNSENT)
    else:
        unknown = CommandStatus.OUTCOME_UNKNOWN
        ending.end(command, command.status, unknown, code="abandoned", detail=UNKNOWN, seen=seen)


def see_to(command: Command) -> None:
    """End it honestly: unsent, shown by the robot, or unknown. A job that the robot has named is asked for by its name."""
    if command.status == CommandStatus.ACKNOWLEDGED and command.job and (found := _order(command)) is not None:
        execution.watch(command, *found, said="before its process went away")
        return
    look = _look(command) if command.status != CommandStatus.ACCEPTED else Look([], False, False)
    if look.shown and not resolution.told_since(command):
        detail = "Its process went away while the robot was asked; the robot's state shows that it obeys."
        ending.end(command, command.status, CommandStatus.CONFIRMED, detail=detail, seen=look.seen)
    else:
        _end_unread(command, look.seen)


def _look(command: Command) -> Look:
    """Read the robot, if anything that it reports could show what came of this."""
    order, client = _order(command) or (None, None)
    if order is None or client is None or order.look is None or order.job is not None:
        return Look([], False, False)
    return readback.watch(order, client)


def _order(command: Command) -> tuple[Order, RobotClient] | None:
    try:
        client = client_for(command.robot)
        return orders.order(client.profile, command.name, command.params), client
    except (BadProfile, Unreadable, Problem):
        return None
