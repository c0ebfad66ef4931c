"""Whether a command may still go out: asked when its turn to be carried out comes, and again right before its first byte.

Between the acceptance and the wire there may be seconds in which others use the robot. Whatever was withdrawn in them counts.
"""

from django.utils import timezone

from accounts import permissions
from accounts.models import User
from firmware import fallback, orders, profile, state, stopping
from firmware.models import Command, RobotState

Objection = tuple[str, str]  # code, words


def objection(command: Command) -> Objection | None:
    """Why it is not sent any more; None: nothing stands against it. What ends motion is always sent."""
    if command.hold_until is not None and released(command):
        return "released", "It was let go before it was sent."
    if command.kind in state.LATCH_FORBIDS and stopping.is_stopped(command.robot):
        return "stop_latched", "The robot was stopped before the command was sent."
    if command.kind not in state.LATCH_FORBIDS:
        return None
    row = RobotState.objects.select_related("robot__site").get(robot=command.robot_id)
    return _robot(command, row) or (_person(command, row) if command.requested_by_id is not None else None)


def released(command: Command) -> bool:
    """Whether the button of a hold-to-run has been let go."""
    return Command.objects.filter(pk=command.pk, released_at__isnull=False).exists()


def _robot(command: Command, row: RobotState) -> Objection | None:
    now = timezone.now()
    if not row.robot.enabled or row.robot.retired_at is not None:
        return "robot_disabled", "The robot was disabled before the command was sent."
    if row.resetting_until is not None and row.resetting_until > now:
        return "stop_latched", "The robot is being reset."
    mode = state.mode(row.robot, row, profile.load_or_unusable(row.robot.profile), now)
    if mode in ("maintenance", "offline") and command.kind not in fallback.ALLOWED[mode]:
        return "mode_forbids", f"The robot went into {mode} before the command was sent."
    return None


def _person(command: Command, row: RobotState) -> Objection | None:
    """Whether who asked is still somebody who may, and for motion the one who holds control."""
    person = User.objects.filter(pk=command.requested_by_id or 0).first()
    if person is None:
        return "permission_denied", "Whoever asked for it is no more."
    spec = profile.load_or_unusable(row.robot.profile).commands.get(command.name)
    right = spec.right if spec else orders.RIGHTS.get(command.kind, "robot.command")
    if not permissions.may(person, right, row.robot):
        return "permission_denied", f"Whoever asked for it may not any more: {right} was withdrawn."
    if command.kind == "motion" and not row.leased_by(person.pk, timezone.now()):
        words = "Somebody else holds control." if row.leased(timezone.now()) else "Control was given back, or broken."
        return "lease_held", words
    return None
