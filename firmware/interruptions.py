"""What a robot does by itself, or by somebody beside it: its own stops and faults are told, and what they interrupt does not arrive."""

from collections.abc import Iterable
from typing import Any

from accounts import context, journal
from accounts.models import JournalEntry
from firmware import profile, spool
from firmware.language.kind import Profile
from firmware.language.words import MACHINE_STATE
from firmware.models import Command, RobotState

OUT_OF_ACTION = frozenset({"estopped", "fault", "safe", "shutdown", "booting", "initializing"})


def is_out_of_action(spec: Profile, machine: Any) -> bool:
    """Whether a robot in this state does not go on with what it was told, whatever becomes of it."""
    return machine in OUT_OF_ACTION or (spec.reset is not None and machine in spec.reset.from_states)


def told_of_state(row: RobotState, spec: Profile, before: Any) -> list[JournalEntry]:
    """A robot that goes out of action, or comes back, without a stop of ours, is told. Ours have rows of their own."""
    machine, _ = row.observed(MACHINE_STATE)
    was, now = is_out_of_action(spec, before), is_out_of_action(spec, machine)
    if before is None or machine is None or before == machine or not (was or now) or row.stop_latched:
        return []
    slug = row.robot.slug
    if now and spool.holds(slug):
        return []  # a stop of ours that is not written down yet: its own row will say so
    outcome = journal.Outcome.UNKNOWN if now else journal.Outcome.OK
    reason = "No stop of robotctl is on record for it." if now else ""
    data = {"was": before, "now": machine}
    return [journal.entry("robot.state_changed", slug, robot=slug, outcome=outcome, reason=reason, data=data)]


def interrupted(command: Command, row: RobotState) -> str | None:
    """Why a robot that obeyed this command does not go on with it, if so."""
    if command.sent_at is None:
        return None
    if row.restarted_at is not None and row.restarted_at > command.sent_at:
        return "The robot has restarted."
    if row.stop_at is not None and row.stop_at > command.created_at and row.stop_latched:
        return "The robot was stopped."
    machine, at = row.observed(MACHINE_STATE)
    if (
        at is not None
        and at > command.sent_at
        and is_out_of_action(profile.load_or_unusable(row.robot.profile), machine)
    ):
        return f"The robot reads {machine}."
    return None


def interrupt(commands: Iterable[Command], rows: dict[int, RobotState]) -> list[JournalEntry]:
    """Take those of `commands` that are interrupted out of what is waited for. Returns what is to be journalled."""
    told: list[JournalEntry] = []
    for command in commands:
        row = rows[command.robot_id]
        if (why := interrupted(command, row)) is None:
            continue
        detail = f"The robot obeyed, but did not finish. {why}"
        if (
            Command.objects.filter(pk=command.pk, done_at=None, code=None).update(code="interrupted", detail=detail)
            != 1
        ):
            continue
        command.code, command.detail = "interrupted", detail
        data = {"command": command.pk, "name": command.name, "params": command.params, "detail": detail}
        data["by"] = journal.who(command.requested_by_id)
        origin = context.Origin(request_id=command.request_id)
        about: Any = {"robot": row.robot.slug, "outcome": journal.Outcome.FAILED, "data": data, "origin": origin}
        told.append(journal.entry("command.interrupted", str(command), **about))
    return told


def state_before(row: RobotState) -> Any:
    found = row.readings.get(MACHINE_STATE)
    return found[0] if found else None
