"""How many commands of a robot wait for a second person: kept in its state row, so that everybody sees it at once."""

from firmware import recorder
from firmware.models import Command, CommandStatus


def count(robot_id: int) -> None:
    """Count anew. To be called in the transaction that changed it."""
    with recorder.changing([robot_id]) as rows:
        awaiting = Command.objects.filter(robot_id=robot_id, status=CommandStatus.AWAITING_APPROVAL)
        rows[robot_id].approvals_waiting = awaiting.count()
