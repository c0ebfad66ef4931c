"""The honest end of a command: its row, the readings that show why, and the journal, in one transaction."""

from typing import Any

from django.utils import timezone

from accounts import journal
from accounts.models import JournalEntry
from firmware import recorder, waiting
from firmware.client import Observation
from firmware.models import Command, CommandStatus
from firmware.telling import tell, took_s

Outcome = journal.Outcome


def end(
    command: Command,
    expected: str,
    status: str,
    *,
    seen: list[Observation] | None = None,
    data: dict[str, Any] | None = None,
    **changes: Any,
) -> None:
    """End a command: its row, the readings that show why, and the journal, in one transaction."""
    now = timezone.now()
    if "detail" in changes:
        changes["detail"] = changes["detail"][:500]
    with recorder.changing([command.robot_id] if seen else []) as rows:
        told: list[JournalEntry] = []
        if not command.advance(expected, status, ended_at=now, **changes):
            return
        if expected == CommandStatus.AWAITING_APPROVAL:
            waiting.count(command.robot_id)
        for observation in seen or []:
            told += recorder.apply(rows[command.robot_id], recorder.Contact.seen(command.robot_id, observation))
        why = {"code": command.code, "detail": command.detail, "took_s": took_s(command, now), **(data or {})}
        if seen:  # the last look: what the end rests on
            why["seen"] = {one.read: one.values for one in seen}
        tell(f"command.{status}", command, outcome=_outcome(status), data=why)
        journal.record_all(told)


def _outcome(status: str) -> str:
    if status in (CommandStatus.CONFIRMED, CommandStatus.ACKNOWLEDGED):
        return Outcome.OK
    return Outcome.UNKNOWN if status == CommandStatus.OUTCOME_UNKNOWN else Outcome.FAILED
