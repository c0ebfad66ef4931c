"""The second person: orders that a profile marks are sent only when somebody else agrees, within 10 minutes."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts import context, journal, permissions
from accounts.models import User
from firmware import commands, drift, gate, orders, presence, profile, waiting
from firmware.errors import BadProfile
from firmware.language.words import MACHINE_STATE
from firmware.models import Command, CommandStatus, Robot, RobotState
from firmware.orders import RESET
from firmware.telling import tell
from robotctl.problems import Problem

RESET_WITHIN = timedelta(seconds=30)
Outcome = journal.Outcome


def approve(command: Command, user: User, *, reason: str) -> None:
    """Agree to `command` and have it sent, if everything still allows it. Raises Problem 403 `own_request`, 409, 503."""
    with commands.refusals(command.robot, command.name, command.params, reason):
        if command.requested_by_id == user.pk:
            raise Problem(403, "own_request", "You asked for this yourself; a second person must agree.")
        _accept(command, user, reason)


def _accept(command: Command, user: User, reason: str) -> None:
    now = timezone.now()
    with transaction.atomic():
        row = RobotState.objects.select_for_update(of=("self",)).select_related("robot__site").get(robot=command.robot)
        if command.status != CommandStatus.AWAITING_APPROVAL or now >= command.deadline_at:
            raise Problem(409, "not_waiting", "It is not waiting for an approval, or not any more.")
        lasts = _may_still_be_sent(command, row)
        changes = {"approved_by": user.get_username(), "approved_at": now, "deadline_at": now + lasts}
        changes["carrier"] = presence.me()
        if not command.advance(CommandStatus.AWAITING_APPROVAL, CommandStatus.ACCEPTED, **changes):
            raise Problem(409, "not_waiting", "It is not waiting for an approval any more.")
        if command.name == orders.CONFIGURE:
            by = command.requested_by.get_username() if command.requested_by else ""
            group, values = command.params["group"], command.params["values"]
            drift.desire(command.robot, group, values, by=by, reason=command.reason)
        waiting.count(command.robot_id)
        tell("command.approved", command, outcome=Outcome.OK, data={"approved_by": journal.who(user), "note": reason})
        transaction.on_commit(lambda: commands.running.start(command.pk))


def _may_still_be_sent(command: Command, row: RobotState) -> timedelta:
    """How long it may take to be sent. Raises Problem when something has changed since it was asked for."""
    requester = command.requested_by
    if requester is None or not requester.is_active:
        raise Problem(409, "requester_gone", "Whoever asked for this may not any more.")
    if command.kind == RESET:
        if not permissions.may(requester, "robot.reset", row.robot):
            raise Problem(409, "requester_gone", "Whoever asked for this may not any more.")
        return RESET_WITHIN
    try:
        spec = profile.load(row.robot.profile)
    except BadProfile as error:
        raise Problem(409, "bad_profile", str(error)) from error
    order = orders.order(spec, command.name, command.params)
    if not permissions.may(requester, order.right, row.robot):
        raise Problem(409, "requester_gone", "Whoever asked for this may not any more.")
    gate.require(row, requester, spec, command.name, order, timezone.now())
    return timedelta(seconds=order.deadline_s)


def reset_needs_it(robot: Robot) -> bool:
    """Whether the robot was stopped by something else than us (its hardware stop), and its profile wants two people then."""
    wanted = profile.load_or_unusable(robot.profile).reset
    machine, _ = robot.state.observed(MACHINE_STATE)
    return wanted is not None and wanted.approval and not robot.state.stop_latched and machine in wanted.from_states


def ask_for_reset(robot: Robot, user: User, *, reason: str) -> Command:
    """A reset that waits for a second person. One at a time."""
    now = timezone.now()
    with transaction.atomic():
        RobotState.objects.select_for_update(of=("self",)).get(robot=robot)
        if Command.objects.filter(robot=robot, kind=RESET, ended_at=None).exists():
            raise Problem(409, "duplicate", "A reset of this robot is waiting for a second person already.")
        command = Command.objects.create(
            robot=robot,
            name=RESET,
            kind=RESET,
            reason=reason,
            requested_by=user,
            request_id=context.current().request_id,
            status=CommandStatus.AWAITING_APPROVAL,
            created_at=now,
            deadline_at=now + gate.APPROVED_WITHIN,
        )
        waiting.count(robot.pk)
        tell("command.awaiting_approval", command, outcome=Outcome.OK)
    return command
