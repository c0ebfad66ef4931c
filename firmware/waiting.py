"""How many commands of a robot wait for a second person: kept in its state row, so that everybody sees it at once."""

from typing import Any

from firmware import recorder
from firmware.models import Command, CommandStatus
from robotctl.problems import Problem

MOST = 20


def require_room(robot_id: int, name: str, params: dict[str, Any]) -> None:
    """Raises Problem 409 `duplicate` when the same waits already, or `too_many_waiting`."""
    awaiting = Command.objects.filter(robot_id=robot_id, status=CommandStatus.AWAITING_APPROVAL)
    if any((one.name, one.params) == (name, params) for one in awaiting):
        raise Problem(409, "duplicate", "The same is waiting for a second person already.")
    if len(awaiting) >= MOST:
        words = f"{MOST} commands of this robot wait for a second person already; have some of them decided first."
        raise Problem(409, "too_many_waiting", words)


def count(robot_id: int) -> None:
    """Count anew. To be called in the transaction that changed it."""
    with recorder.changing([robot_id]) as rows:
        awaiting = Command.objects.filter(robot_id=robot_id, status=CommandStatus.AWAITING_APPROVAL)
        rows[robot_id].approvals_waiting = awaiting.count()
