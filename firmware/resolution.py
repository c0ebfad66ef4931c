"""Ending doubt: a command that nobody ran to its end is cancelled, one whose outcome is unknown is resolved by its robot or a person."""

from django.db import transaction
from django.utils import timezone

from accounts import journal
from accounts.models import User
from firmware import readback, waiting
from firmware.client import RobotClient
from firmware.models import Command, CommandStatus
from firmware.orders import Order
from firmware.telling import tell, took_s
from robotctl.problems import Problem

Outcome = journal.Outcome
UNSENT = (CommandStatus.AWAITING_APPROVAL, CommandStatus.ACCEPTED)


def cancel(command: Command, *, reason: str) -> None:
    """Take back what was not sent. Raises Problem 409 `already_sent`: what a robot has been told is ended by halt or stop."""
    now = timezone.now()
    with transaction.atomic():
        command.refresh_from_db(fields=["approved_at"])
        if command.approved_at is not None:
            raise Problem(409, "already_sent", "A second person has agreed to it: it is being sent.")
        for status in UNSENT:
            detail = reason or "Taken back before it was sent."
            if command.advance(status, CommandStatus.CANCELLED, code="cancelled", detail=detail, ended_at=now):
                if status == CommandStatus.AWAITING_APPROVAL:
                    waiting.count(command.robot_id)
                tell("command.cancelled", command, outcome=Outcome.OK, data={"detail": detail})
                return
    command.refresh_from_db()
    raise Problem(
        409, "already_sent", f"It is {command.status.replace('_', ' ')}; only what was not sent can be taken back."
    )


def by_person(command: Command, user: User, *, note: str) -> None:
    """A person has looked and says what came of it. It stays an unknown outcome, with the note. Raises Problem 409."""
    changes = {"resolved_at": timezone.now(), "resolved_by": user.get_username(), "resolution": note}
    with transaction.atomic():
        unknown = Command.objects.filter(pk=command.pk, status=CommandStatus.OUTCOME_UNKNOWN, resolved_at=None)
        if unknown.update(**changes) != 1:
            raise Problem(409, "not_unknown", "Only an unknown outcome that nobody has resolved yet can be resolved.")
        tell("command.resolved", command, outcome=Outcome.OK, data={"note": note})


def answered_late(command_id: int, order: Order, client: RobotClient, reply: bytes) -> None:
    """The robot answered after all, or hung up: the request is out no more. What it did is for its state to tell."""
    with transaction.atomic():
        if Command.objects.filter(pk=command_id, answered_at=None).update(answered_at=timezone.now()) != 1:
            return
        command = Command.objects.select_related("robot").get(pk=command_id)
        said = client.words(reply.rpartition(b"\r\n\r\n")[2][:200].decode(errors="replace"))
        tell("command.answered_late", command, outcome=Outcome.UNKNOWN, data={"reply": said})
    if reply:
        by_state(command, order, client)


def by_state(command: Command, order: Order, client: RobotClient) -> None:
    """The robot answered late: if its state now shows that it obeyed, the outcome is known after all.

    Not when it was told something else meanwhile: its state may show that.
    """
    if order.look is None or told_since(command) or not (look := readback.watch(order, client)).shown:
        return
    detail = "The robot answered late, and its state shows that it obeys."
    changes = {"status": CommandStatus.CONFIRMED, "code": None, "detail": detail, "resolved_at": timezone.now()}
    with transaction.atomic():
        unknown = Command.objects.filter(pk=command.pk, status=CommandStatus.OUTCOME_UNKNOWN, resolved_at=None)
        if not told_since(command) and unknown.update(**changes, resolution=detail) == 1:
            command.refresh_from_db()
            took = took_s(command, timezone.now())
            data = {"detail": detail, "took_s": took, "seen": {one.read: one.values for one in look.seen}}
            tell("command.confirmed", command, outcome=Outcome.OK, data=data)


def told_since(command: Command) -> bool:
    """Whether the robot was sent another order after this one."""
    return Command.objects.filter(robot_id=command.robot_id, pk__gt=command.pk, sent_at__isnull=False).exists()
