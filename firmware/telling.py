"""The journal row of a command's step."""

from datetime import datetime
from typing import Any

from accounts import journal
from firmware.models import Command


def tell(verb: str, command: Command, *, outcome: str, data: dict[str, Any] | None = None) -> None:
    shape = {"command": command.pk, "name": command.name, "params": command.params, "status": command.status}
    shape["by"] = journal.who(command.requested_by_id)  # who acts is somebody else where another approves, or nobody
    if command.ended_at is None:
        shape["deadline_at"] = journal.iso(command.deadline_at)
    if command.sent_at is not None:
        shape |= {"sent_at": journal.iso(command.sent_at), "attempts": command.attempts}
    if command.answered_at is not None:
        shape["answered_at"] = journal.iso(command.answered_at)
    if command.sequence_id is not None:
        shape |= {"sequence": command.sequence_id, "step": command.step}
    journal.record(
        verb, str(command), robot=command.robot.slug, outcome=outcome, reason=command.reason, data=shape | (data or {})
    )


def took_s(command: Command, now: datetime) -> float:
    """How long it is since the command was accepted."""
    return round((now - command.created_at).total_seconds(), 3)
