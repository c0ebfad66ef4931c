"""The life of a command: checked, written down, sent once, and believed only when the robot's own state shows it."""

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from accounts import context, journal, permissions
from accounts.models import User
from firmware import conditions, parameters, profile, recorder, state, threads
from firmware.client import Observation, Reply, RobotClient
from firmware.clients import client_for
from firmware.credentials import Unreadable
from firmware.errors import BadProfile, Busy, FirmwareError, Rejected
from firmware.models import Command, CommandStatus, Robot, RobotState
from firmware.profile import Profile
from robotctl.problems import Problem

KEY_LIVES = timedelta(hours=24)
FIRST_PAUSE_S = 0.03
LONGEST_PAUSE_S = 0.25
Outcome = journal.Outcome


def submit(
    robot: Robot, user: User, *, name: str, params: Any, reason: str = "", key: str | None = None
) -> tuple[Command, bool]:
    """Accept a command and start it. Returns the row and whether it is new. Raises Problem, each journalled, without a row."""
    try:
        spec = profile.load(robot.profile)
        if name not in spec.commands:
            raise Problem(
                400,
                "unknown_command",
                f"This robot knows no command {name!r}; it knows {', '.join(spec.commands) or 'none'}.",
                errors={"name": ["Unknown command."]},
            )
        typed = parameters.check(spec.commands[name].params, params)
        return _accept(robot, user, spec, name, typed, reason, key)
    except BadProfile as error:
        problem = Problem(409, "bad_profile", str(error))
        _refused(robot, name, params, reason, problem)
        raise problem from error
    except Problem as problem:
        _refused(robot, name, params, reason, problem)
        raise


def _refused(robot: Robot, name: str, params: Any, reason: str, problem: Problem) -> None:
    data = {"name": name, "params": params, "code": problem.code, "detail": str(problem.detail)}
    journal.record("command.refused", name[:60], robot=robot.slug, outcome=Outcome.DENIED, reason=reason, data=data)


def _accept(
    robot: Robot, user: User, spec: Profile, name: str, params: dict[str, Any], reason: str, key: str | None
) -> tuple[Command, bool]:
    digest = hashlib.sha256(msgspec.json.encode([name, params, reason], order="deterministic")).hexdigest()
    permissions.require(user, "robot.command", robot)
    now = timezone.now()
    with transaction.atomic():
        row = RobotState.objects.select_for_update(of=("self",)).select_related("robot__site").get(robot=robot)
        if (earlier := _same_key(robot, user, key, digest)) is not None:
            return earlier, False
        verdict = state.forbidden(row.robot, row, spec, name, now)
        if not verdict["allowed"]:
            raise Problem(409, verdict["code"], verdict["reason"])
        command = Command.objects.create(
            robot=robot,
            name=name,
            kind=spec.commands[name].kind,
            params=params,
            reason=reason,
            requested_by=user,
            request_id=context.current().request_id,
            idempotency_key=key,
            body_digest=digest,
            created_at=now,
            deadline_at=now + timedelta(seconds=spec.commands[name].deadline_s),
        )
        _tell("command.accepted", command, outcome=Outcome.OK)
        transaction.on_commit(lambda: running.start(command.pk))
    return command, True


def _same_key(robot: Robot, user: User, key: str | None, digest: str) -> Command | None:
    """The command that this idempotency key has made already. Raises 409 `duplicate` when it was another."""
    if key is None:
        return None
    earlier = (
        Command.objects.select_related("robot", "requested_by")
        .filter(robot=robot, requested_by=user, idempotency_key=key)
        .first()
    )
    if earlier is None:
        return None
    if earlier.created_at < timezone.now() - KEY_LIVES:
        Command.objects.filter(pk=earlier.pk).update(idempotency_key=None)
        return None
    if earlier.body_digest != digest:
        raise Problem(409, "duplicate", "This Idempotency-Key was used for another command in the last 24 hours.")
    return earlier


class Running:
    """Commands under way in this process; a request may wait for one of them."""

    def __init__(self) -> None:
        self._futures: dict[int, Future[None]] = {}

    def start(self, command_id: int) -> None:
        future = threads.start(threads.commands, run, command_id)
        self._futures[command_id] = future
        future.add_done_callback(lambda _: self._futures.pop(command_id, None))

    def wait(self, command_id: int, timeout_s: float) -> None:
        """Until the command has ended here, at most `timeout_s`."""
        future = self._futures.get(command_id)
        if future is not None and timeout_s > 0:
            try:
                future.result(timeout=timeout_s)
            except TimeoutError:
                return


running = Running()


def run(command_id: int) -> None:
    """Send one accepted command and see what the robot does. Runs on a command thread."""
    command = Command.objects.select_related("robot", "requested_by").get(pk=command_id)
    if not _begin(command):
        return
    try:
        client = client_for(command.robot)
    except (BadProfile, Unreadable) as error:
        _end(command, CommandStatus.SENDING, CommandStatus.FAILED, code="bad_wiring", detail=str(error))
        return
    send_by = time.monotonic() + (command.deadline_at - timezone.now()).total_seconds()
    began_at = timezone.now()
    try:
        reply = client.command(command.name, command.params, send_by=send_by)
    except FirmwareError as error:
        _not_acknowledged(command, client, error, began_at)
        return
    _acknowledged(command, client, reply)


def _begin(command: Command) -> bool:
    """The last look before the wire: in time, and no stop in between."""
    now = timezone.now()
    if now >= command.deadline_at:
        _end(
            command,
            CommandStatus.ACCEPTED,
            CommandStatus.EXPIRED,
            code="expired",
            detail="Not sent before its deadline.",
        )
        return False
    if command.kind == "motion" and RobotState.objects.filter(robot=command.robot, stop_latched=True).exists():
        _end(
            command,
            CommandStatus.ACCEPTED,
            CommandStatus.CANCELLED,
            code="stop_latched",
            detail="The robot was stopped before the command was sent.",
        )
        return False
    return command.advance(CommandStatus.ACCEPTED, CommandStatus.SENDING, sent_at=now, attempts=1)


def _not_acknowledged(command: Command, client: RobotClient, error: FirmwareError, began_at: Any) -> None:
    if isinstance(error, Rejected):
        _end(
            command,
            CommandStatus.SENDING,
            CommandStatus.REJECTED,
            code=error.code,
            detail=str(error),
            answered_at=timezone.now(),
            data={"status": error.status},
        )
    elif not error.may_have_acted:
        status = (
            CommandStatus.EXPIRED
            if isinstance(error, Busy) and timezone.now() >= command.deadline_at
            else CommandStatus.FAILED
        )
        _end(command, CommandStatus.SENDING, status, code=error.code, detail=str(error), sent_at=None, attempts=0)
    else:
        answered_at = timezone.now() if error.code == "bad_reply" else None
        shown, seen = _read_back(command, client) if answered_at else (False, [])
        if shown:
            _end(
                command,
                CommandStatus.SENDING,
                CommandStatus.CONFIRMED,
                detail=f"{error} But the robot shows that it obeys.",
                seen=seen,
                sent_at=began_at,
                answered_at=answered_at,
            )
        else:
            detail = f"{error} What the robot did is unknown; look at its state."
            _end(
                command,
                CommandStatus.SENDING,
                CommandStatus.OUTCOME_UNKNOWN,
                code=error.code,
                detail=detail,
                seen=seen,
                sent_at=began_at,
                answered_at=answered_at,
            )


def _acknowledged(command: Command, client: RobotClient, reply: Reply) -> None:
    spec = client.profile.commands[command.name]
    times: dict[str, Any] = {"sent_at": recorder.moment(reply.sent_at), "answered_at": recorder.moment(reply.ended_at)}
    if not spec.confirm:
        detail = "The robot answered; it reports nothing that could confirm it."
        _end(command, CommandStatus.SENDING, CommandStatus.ACKNOWLEDGED, code="not_observable", detail=detail, **times)
        return
    with transaction.atomic():
        if not command.advance(CommandStatus.SENDING, CommandStatus.ACKNOWLEDGED, detail=reply.message[:500], **times):
            return
        _tell(
            "command.acknowledged", command, outcome=Outcome.OK, data={"status": reply.status, "message": reply.message}
        )
    shown, seen = _read_back(command, client)
    if shown:
        _end(
            command,
            CommandStatus.ACKNOWLEDGED,
            CommandStatus.CONFIRMED,
            detail="The robot's state shows that it obeys.",
            seen=seen,
        )
    elif seen:
        detail = f"The robot answered {reply.message or reply.status!r}, but its state did not follow within {spec.confirm_within_s:g} s."
        _end(command, CommandStatus.ACKNOWLEDGED, CommandStatus.FAILED, code="not_obeyed", detail=detail, seen=seen)
    else:
        detail = "The robot answered, but could not be read back. What it did is unknown; look at its state."
        _end(command, CommandStatus.ACKNOWLEDGED, CommandStatus.OUTCOME_UNKNOWN, code="unreadable", detail=detail)


def _read_back(command: Command, client: RobotClient) -> tuple[bool, list[Observation]]:
    """Read the robot until it shows that it obeys or the window closes. Only reads begun after the answer count."""
    spec = client.profile.commands[command.name]
    until, pause_s = time.monotonic() + spec.confirm_within_s, FIRST_PAUSE_S
    latest: dict[str, Observation] = {}
    while True:
        for name in client.profile.reads_for(spec.confirm):
            try:
                latest[name] = client.read(name)
            except FirmwareError:
                latest.pop(name, None)
        values = {key: value for seen in latest.values() for key, value in seen.values.items()}
        if conditions.hold(spec.confirm, values, command.params):
            return True, list(latest.values())
        if time.monotonic() + pause_s > until:
            return False, list(latest.values())
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _end(
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
        told: list[Callable[[], object]] = []
        if not command.advance(expected, status, ended_at=now, **changes):
            return
        for observation in seen or []:
            told += recorder.apply(rows[command.robot_id], recorder.Contact.seen(command.robot_id, observation))
        _tell(
            f"command.{status}",
            command,
            outcome=_outcome(status),
            data={"code": command.code, "detail": command.detail, **(data or {})},
        )
        for tell in told:
            tell()


def _outcome(status: str) -> str:
    if status in (CommandStatus.CONFIRMED, CommandStatus.ACKNOWLEDGED):
        return Outcome.OK
    return Outcome.UNKNOWN if status == CommandStatus.OUTCOME_UNKNOWN else Outcome.FAILED


def _tell(verb: str, command: Command, *, outcome: str, data: dict[str, Any] | None = None) -> None:
    shape = {"command": command.pk, "name": command.name, "params": command.params, "status": command.status}
    journal.record(
        verb, str(command), robot=command.robot.slug, outcome=outcome, reason=command.reason, data=shape | (data or {})
    )
