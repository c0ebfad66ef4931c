"""Leaving a stop: a right of its own, a reason, and a state that stays. It never restarts motion."""

import time
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import journal
from firmware import conditions, recorder, stopping
from firmware.client import Observation, RobotClient
from firmware.clients import client_for
from firmware.credentials import Unreadable
from firmware.errors import BadProfile, FirmwareError, Rejected
from firmware.language.kind import Profile
from firmware.language.words import MACHINE_STATE
from firmware.models import Robot, RobotState
from robotctl.problems import Problem

PAUSE_S = 0.1
OUTCOMES = {"confirmed": journal.Outcome.OK, "outcome_unknown": journal.Outcome.UNKNOWN}
LOCK_FOR = timedelta(seconds=6)  # renewed while it goes on: who is killed holds up the repeated stop no longer
RENEW_BEFORE = timedelta(seconds=4)
NOT_AT_REST = frozenset({"moving", "docking", "booting", "initializing", "unknown"})


def reset(robot: Robot, *, reason: str) -> dict[str, Any]:
    """Ask the robot to leave its stop, see that it stays out, and only then lift the latch.

    Returns `{"robot","status","code","detail","elapsed_ms"}`, status `confirmed`, `rejected`, `failed` or `outcome_unknown`.
    Raises Problem 409 `not_stopped`, `reset_running`, `bad_profile`.
    """
    began = time.monotonic()
    try:
        client = client_for(robot)
    except (BadProfile, Unreadable) as error:
        raise Problem(409, "bad_profile", str(error)) from error
    mark = _begin(robot, client.profile, reason)
    seen: list[Observation] = []
    try:
        status, code, detail = _leave(client, seen, mark)
    except FirmwareError as error:
        refused = isinstance(error, Rejected)
        status = "rejected" if refused else "outcome_unknown" if error.may_have_acted else "failed"
        code, detail = error.code, str(error)
    status, code, detail = _finish(robot, reason, mark, (status, code, detail), seen)
    return {
        "robot": robot.slug,
        "status": status,
        "code": code,
        "detail": detail,
        "elapsed_ms": round((time.monotonic() - began) * 1000, 1),
    }


class Mark:
    """Says in the robot's row that a reset is under way, for some seconds. A stop takes it away."""

    def __init__(self, robot: Robot, until: datetime) -> None:
        self._robot, self.until = robot, until

    def renew(self) -> None:
        now = timezone.now()
        if self.until - now < RENEW_BEFORE:
            mine = RobotState.objects.filter(robot=self._robot, resetting_until=self.until)
            if mine.update(resetting_until=now + LOCK_FOR) == 1:
                self.until = now + LOCK_FOR


def _begin(robot: Robot, spec: Profile, reason: str) -> Mark:
    """One reset at a time, and only of a robot that is stopped; journalled before the wire."""
    now = timezone.now()
    until = now + LOCK_FOR
    with transaction.atomic():
        row = RobotState.objects.select_for_update(of=("self",)).get(robot=robot)
        machine, _ = row.observed(MACHINE_STATE)
        if not row.stop_latched and not (spec.reset and machine in spec.reset.from_states):
            raise Problem(409, "not_stopped", "The robot is not stopped; there is nothing to reset.")
        free = Q(resetting_until=None) | Q(resetting_until__lt=now)
        if RobotState.objects.filter(free, robot=robot).update(resetting_until=until) != 1:
            raise Problem(409, "reset_running", "Another reset of this robot is under way.")
        journal.record("reset.requested", robot.slug, robot=robot.slug, reason=reason)
    return Mark(robot, until)


def _leave(client: RobotClient, seen: list[Observation], mark: Mark) -> tuple[str, str | None, str]:
    """Ask, and see that it comes to rest outside its stop and stays so. A robot that moves has not been reset, but escaped."""
    spec = client.profile
    seen[:] = _look(client)
    if in_a_stop(spec, conditions.values_of(spec, seen)):
        if spec.reset is None:
            return "failed", "no_reset", "This kind of robot offers no reset; bring it out of its stop at the robot."
        client.reset()
    hold_s, leave_within_s = (spec.reset.hold_s, spec.reset.leave_within_s) if spec.reset else (2.0, 2.0)
    until, out_since = time.monotonic() + leave_within_s + hold_s, None
    while time.monotonic() < until:
        mark.renew()
        began = time.monotonic()
        seen[:] = _look(client)
        machine = _machine(spec, seen)
        if machine in ("moving", "docking"):
            return (
                "failed",
                "moving",
                f"The robot reads {machine}: its stop stays. Stop it again, or use the hardware stop.",
            )
        if in_a_stop(spec, conditions.values_of(spec, seen)):
            if out_since is not None:
                words = "The robot left its stop and went back into it; a hardware stop is cleared at the robot."
                return "failed", "not_obeyed", words
        elif machine not in NOT_AT_REST:
            out_since = out_since or began
            if began - out_since >= hold_s:
                return "confirmed", None, f"The robot reads {machine} and has stayed so for {hold_s:g} s."
        time.sleep(PAUSE_S)
    return "failed", "not_obeyed", f"The robot still reads {_machine(spec, seen)} after {leave_within_s:g} s."


def _look(client: RobotClient) -> list[Observation]:
    """All that tells whether it is stopped. Raises FirmwareError."""
    return [client.read(name) for name in client.profile.reads_for(client.profile.stop.stopped)]


def _machine(spec: Profile, seen: list[Observation]) -> Any:
    return conditions.values_of(spec, seen).get(MACHINE_STATE)


def in_a_stop(spec: Profile, values: dict[str, Any]) -> bool:
    """Stopped, or in a state that a reset is there for; a state that is not told counts as stopped.

    A kind of robot without a state of its own for a stop stands idle after one, as before any motion: that is no stop to leave.
    """
    machine = values.get(MACHINE_STATE)
    if machine is None or (spec.reset is not None and machine in spec.reset.from_states):
        return True
    return conditions.hold(spec.stop.stopped, values) and machine not in _free_states(spec)


def _free_states(spec: Profile) -> set[str]:
    """Those out of which it may be moved."""
    motions = [command for command in spec.commands.values() if command.kind == "motion"]
    return {state for command in motions for state in command.states} or {"idle"}


def _finish(
    robot: Robot, reason: str, mark: Mark, verdict: tuple[str, str | None, str], seen: list[Observation]
) -> tuple[str, str | None, str]:
    """Write down what came of it. Lifts the latch only if nobody has pressed stop meanwhile, which takes our mark away."""
    with recorder.changing([robot.pk]) as rows:
        row = rows[robot.pk]
        told = [entry for one in seen for entry in recorder.apply(row, recorder.Contact.seen(robot.pk, one))]
        if row.resetting_until != mark.until or stopping.is_pending(robot.slug):
            verdict = "failed", "stopped_again", "The robot was told to stop again while it was being reset."
        else:
            row.resetting_until = None
        status, code, detail = verdict
        if status == "confirmed":
            row.stop_latched = False
            row.stop_status = row.stop_by = row.stop_at = row.stop_reason = None
            row.stop_sent_at = row.stop_answered_at = row.stop_confirmed_at = row.stop_left_at = None
            row.stop_attempts = 0
        outcome = OUTCOMES.get(status, journal.Outcome.FAILED)
        data = {"code": code, "detail": detail}
        told.append(
            journal.entry(f"reset.{status}", robot.slug, robot=robot.slug, outcome=outcome, reason=reason, data=data)
        )
        journal.record_all(told)
    return verdict
