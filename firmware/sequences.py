"""Commands that follow one another: each is sent when the one before it is done, and the first that is not ends the rest.

Accepted by the process that was asked; gone on with by the poll process, which is the one that sees robots arrive.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404
from django.utils import timezone

from accounts import context, journal, permissions
from accounts.models import User
from firmware import commands, control, orders, profile, recorder
from firmware.errors import BadProfile
from firmware.language.kind import Profile
from firmware.models import Robot, RobotState, Sequence
from firmware.sequence_steps import End, rests_since, verdict
from robotctl.problems import Problem

WATCHED_FOR = timedelta(seconds=15)  # nobody expects a robot to go on by itself after a pause longer than this
RENEWED_AT = timedelta(seconds=8)
Outcome = journal.Outcome
Status = Sequence.Status

log = structlog.get_logger(__name__)


def start(
    robot: Robot, user: User, *, steps: list[dict[str, Any]], step_within_s: float, reason: str, key: str | None
) -> tuple[Sequence, bool]:
    """Accept a sequence and send its first command. Returns it and whether it is new.

    Raises Problem 400 for a step that cannot be one, 403, 409 `sequence_running`, or what forbids its first command.
    """
    with commands.refusals(robot, "sequence", {"steps": steps}, reason):
        try:
            spec = profile.load(robot.profile)
        except BadProfile as error:
            raise Problem(409, "bad_profile", str(error)) from error
        permissions.require(user, "robot.command", robot)
        checked = [_checked(spec, number, step, len(steps)) for number, step in enumerate(steps)]
        asked = msgspec.json.encode([checked, step_within_s, reason], order="deterministic")
        digest = hashlib.sha256(asked).hexdigest()
        with transaction.atomic():
            row = RobotState.objects.select_for_update(of=("self",)).select_related("robot__site").get(robot=robot)
            if (earlier := commands.same_key(Sequence, robot, user, key, digest)) is not None:
                return earlier, False
            if row.sequence is not None:
                words = f"A sequence of {row.sequence['by']} runs on this robot; cancel it first."
                raise Problem(409, "sequence_running", words)
            now = timezone.now()
            control.for_motion(robot, row, user, now)
            made = Sequence.objects.create(
                robot=robot,
                steps=checked,
                step_within_s=step_within_s,
                reason=reason,
                requested_by=user,
                request_id=context.current().request_id,
                idempotency_key=key,
                body_digest=digest,
                created_at=now,
                watched_until=now + WATCHED_FOR,
            )
            _tell("sequence.started", made)
            _send(made, row, user, spec, 0, now)
    return made, True


def _checked(spec: Profile, number: int, step: dict[str, Any], of: int) -> dict[str, Any]:
    """A step whose end can be seen. Raises Problem 400 that names it."""
    where = f"steps.{number}"
    name, last = step["name"], number == of - 1
    command = spec.commands.get(name)
    try:
        order = orders.order(spec, name, step["params"])
    except Problem as problem:
        errors = {f"{where}.{field}": words for field, words in (problem.errors or {}).items()}
        raise Problem(400, problem.code, f"Step {number + 1}: {problem.detail}", errors=errors) from problem
    words = None
    if command is None or order.approval or order.hold:
        words = f"{name} needs a person at each time; it is not part of a sequence."
    elif order.look is None and order.job is None:
        words = f"Nothing that this robot reports could confirm {name}; it is not part of a sequence."
    elif not last and order.kind == "motion" and not (command.done or command.job):
        words = f"Nothing that this robot reports shows when {name} is done; it can only be the last step."
    if words:
        raise Problem(400, "invalid", f"Step {number + 1}: {words}", errors={f"{where}.name": [words]})
    return {"name": name, "params": order.params}


def _send(made: Sequence, row: RobotState, user: User, spec: Profile, number: int, now: datetime) -> None:
    """Send step `number`, if nothing forbids it, and show it. `row` is locked by the caller."""
    name, params = made.steps[number]["name"], made.steps[number]["params"]
    order = orders.order(spec, name, params)
    commands.place(row, user, spec, name, order, now, reason=made.reason, sequence=made, step=number)
    Sequence.objects.filter(pk=made.pk).update(step=number, step_began_at=now, rests_since=None)
    with recorder.changing([made.robot_id]) as rows:
        summary = {"id": made.pk, "by": user.get_username(), "step": number, "steps": made.steps}
        rows[made.robot_id].sequence = summary


def cancel(made: Sequence, *, reason: str) -> None:
    """Send no further step; what the robot was told already goes on. Raises Problem 409 `ended`."""
    with transaction.atomic():
        RobotState.objects.select_for_update(of=("self",)).get(robot=made.robot)
        now = Sequence.objects.select_related("robot").get(pk=made.pk)
        if now.ended_at is not None:
            raise Problem(409, "ended", f"It is {now.status} already.")
        _end(now, End(Status.CANCELLED, "cancelled", reason or "Cancelled; what the robot was told already goes on."))


def go_on(robot_ids: Iterable[int]) -> None:
    """Look at the sequences that run on these robots: wait, send the next step, or end."""
    running = Sequence.objects.filter(robot_id__in=set(robot_ids), ended_at=None)
    for made in running.select_related("robot", "requested_by"):
        context.enter(request_id=made.request_id)
        if made.requested_by is not None:
            context.set_actor(made.requested_by.pk, made.requested_by.get_username())
        _look(made)


def _look(made: Sequence) -> None:
    with transaction.atomic():
        row = RobotState.objects.select_for_update(of=("self",)).select_related("robot__site").get(robot=made.robot)
        made.refresh_from_db()
        if made.ended_at is not None:
            return
        now = timezone.now()
        rests = rests_since(made, row, now)
        if rests != made.rests_since:
            made.rests_since = rests
            Sequence.objects.filter(pk=made.pk).update(rests_since=rests)
        told = verdict(made, row, now)
        if isinstance(told, End):
            _end(made, told)
        elif told == "next":
            _next(made, row, now)
        elif made.watched_until < now + RENEWED_AT:
            Sequence.objects.filter(pk=made.pk).update(watched_until=now + WATCHED_FOR)
            if made.requested_by is not None:
                control.for_motion(made.robot, row, made.requested_by, now)


def _next(made: Sequence, row: RobotState, now: datetime) -> None:
    """The step is done: the next one, or the end."""
    number, user = made.step + 1, made.requested_by
    if number == len(made.steps):
        _end(made, End(Status.DONE, None, f"All {number} steps are done."))
        return
    name = made.steps[number]["name"]
    try:
        with transaction.atomic():
            if user is None:
                raise PermissionDenied("Whoever asked for this is no more.")
            Sequence.objects.filter(pk=made.pk).update(watched_until=now + WATCHED_FOR)
            _send(made, row, user, profile.load(made.robot.profile), number, now)
    except Problem as refusal:
        _end(made, End(Status.FAILED, refusal.code, f"Step {number + 1} ({name}) is not sent: {refusal.detail}"))
    except (PermissionDenied, Http404) as refusal:
        words = str(refusal) or "Whoever asked for this may not see the robot any more."
        _end(made, End(Status.FAILED, "permission_denied", f"Step {number + 1} ({name}) is not sent: {words}"))
    except BadProfile as refusal:
        _end(made, End(Status.FAILED, "bad_profile", f"Step {number + 1} ({name}) is not sent: {refusal}"))


def _end(made: Sequence, end: End) -> None:
    changes = {"status": end.status, "code": end.code, "detail": end.detail[:500], "ended_at": timezone.now()}
    if Sequence.objects.filter(pk=made.pk, ended_at=None).update(**changes) != 1:
        return
    for name, value in changes.items():
        setattr(made, name, value)
    with recorder.changing([made.robot_id]) as rows:
        rows[made.robot_id].sequence = None
    outcome = Outcome.FAILED if end.status == Status.FAILED else Outcome.OK
    _tell(f"sequence.{end.status}", made, outcome=outcome, data={"code": end.code, "detail": made.detail})


def _tell(verb: str, made: Sequence, *, outcome: str = Outcome.OK, data: dict[str, Any] | None = None) -> None:
    shape = {"sequence": made.pk, "step": made.step, "steps": made.steps} | (data or {})
    journal.record(verb, str(made), robot=made.robot.slug, outcome=outcome, reason=made.reason, data=shape)


def shape(made: Sequence) -> dict[str, Any]:
    """A sequence as the API shows it; each step with the command that it became."""
    sent = {command.step: command for command in made.commands.all()}
    return {
        "id": made.pk,
        "robot": made.robot.slug,
        "status": made.status,
        "code": made.code,
        "detail": made.detail,
        "reason": made.reason,
        "step": made.step,
        "steps": [
            step
            | {
                "command": sent[number].pk if number in sent else None,
                "status": sent[number].status if number in sent else None,
                "done_at": journal.iso(sent[number].done_at) if number in sent else None,
            }
            for number, step in enumerate(made.steps)
        ],
        "step_within_s": made.step_within_s,
        "requested_by": made.requested_by.get_username() if made.requested_by else None,
        "request_id": made.request_id,
        "created_at": journal.iso(made.created_at),
        "ended_at": journal.iso(made.ended_at),
    }
