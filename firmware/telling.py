"""The journal row of a command's step."""

from typing import Any

from accounts import journal
from firmware.models import Command


def tell(verb: str, command: Command, *, outcome: str, data: dict[str, Any] | None = None) -> None:
    shape = {"command": command.pk, "name": command.name, "params": command.params, "status": command.status}
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
