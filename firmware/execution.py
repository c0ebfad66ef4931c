"""What becomes of an accepted command: the wire, the read-back, and an honest end."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import journal
from firmware import following, orders, permitted, quiet, readback, recorder, reset, resolution, threads
from firmware.client import Reply, RobotClient
from firmware.clients import client_for
from firmware.credentials import Unreadable
from firmware.ending import end
from firmware.errors import BadProfile, BadReply, Busy, FirmwareError, Rejected, Withdrawn
from firmware.models import Command, CommandStatus
from firmware.moments import is_ahead
from firmware.orders import Look, Order
from firmware.telling import tell
from robotctl.problems import Problem

Outcome = journal.Outcome


def run(command_id: int) -> None:
    """Send one accepted command and see what the robot does. Runs on a command thread; the row ends, whatever happens."""
    command = Command.objects.select_related("robot", "requested_by").get(pk=command_id)
    try:
        _reset(command) if command.kind == orders.RESET else _carry_out(command)
    except Exception:  # nobody knows which; left alone, the row would claim for ever to be under way
        detail = "robotctl failed while it carried this out; look at the robot, and at the log."
        for status in (CommandStatus.ACCEPTED, CommandStatus.SENDING, CommandStatus.ACKNOWLEDGED):
            end(command, status, CommandStatus.OUTCOME_UNKNOWN, code="internal_error", detail=detail)
        raise


def _carry_out(command: Command) -> None:
    if not _begin(command):
        return
    try:
        client = client_for(command.robot)
        order = orders.order(client.profile, command.name, command.params)
    except (BadProfile, Unreadable, Problem) as error:
        detail = str(error.detail) if isinstance(error, Problem) else str(error)
        end(command, CommandStatus.SENDING, CommandStatus.FAILED, code="bad_wiring", detail=detail)
        return
    send_by = time.monotonic() + (command.deadline_at - timezone.now()).total_seconds()
    began_at = timezone.now()
    with quiet.around(command.robot_id, order.blocks_s):
        try:
            reply = order.send(
                client,
                send_by=send_by,
                on_late=_late_reply(command.pk, order, client),
                unless=lambda: permitted.objection(command),
            )
        except FirmwareError as error:
            _not_acknowledged(command, order, client, error, began_at)
            return
        _acknowledged(command, order, client, reply)


def _reset(command: Command) -> None:
    """A reset that a second person has agreed to."""
    if not _begin(command):
        return
    try:
        result = reset.reset(command.robot, reason=command.reason)
    except Problem as problem:
        result = {"status": CommandStatus.REJECTED, "code": problem.code, "detail": str(problem.detail)}
    end(command, CommandStatus.SENDING, result["status"], code=result["code"], detail=result["detail"])


def _late_reply(command_id: int, order: Order, client: RobotClient) -> Callable[[bytes], None]:
    def late(reply: bytes) -> None:
        threads.start(threads.commands, resolution.answered_late, command_id, order, client, reply)

    return late


def _begin(command: Command) -> bool:
    """The last look before the wire: in time, and no stop in between."""
    now = timezone.now()
    if now >= command.deadline_at or is_ahead(command.created_at, now):  # late, or nobody knows how late
        end(
            command,
            CommandStatus.ACCEPTED,
            CommandStatus.EXPIRED,
            code="expired",
            detail="Not sent before its deadline.",
        )
        return False
    if (objection := permitted.objection(command)) is not None:
        code, detail = objection
        end(command, CommandStatus.ACCEPTED, CommandStatus.CANCELLED, code=code, detail=detail)
        return False
    return command.advance(CommandStatus.ACCEPTED, CommandStatus.SENDING, sent_at=now, attempts=1)


def _not_acknowledged(
    command: Command, order: Order, client: RobotClient, error: FirmwareError, began_at: datetime
) -> None:
    if isinstance(error, Rejected):
        _refused(command, order, client, error, began_at)
    elif isinstance(error, Withdrawn):
        unsent: dict[str, Any] = {"code": error.code, "detail": str(error), "sent_at": None, "attempts": 0}
        end(command, CommandStatus.SENDING, CommandStatus.CANCELLED, **unsent)
    elif not error.may_have_acted:
        late = isinstance(error, Busy) and timezone.now() >= command.deadline_at
        status = CommandStatus.EXPIRED if late else CommandStatus.FAILED
        end(command, CommandStatus.SENDING, status, code=error.code, detail=str(error), sent_at=None, attempts=0)
    else:
        answered_at = timezone.now() if isinstance(error, BadReply) else None
        look = readback.watch(order, client) if answered_at and order.look else Look([], False, False)
        times: dict[str, Any] = {"seen": look.seen, "sent_at": began_at, "answered_at": answered_at}
        if look.shown:
            _confirmed(command, CommandStatus.SENDING, f"{error} But the robot shows that it obeys.", **times)
        else:
            detail = f"{error} What the robot did is unknown; look at its state."
            end(command, CommandStatus.SENDING, CommandStatus.OUTCOME_UNKNOWN, code=error.code, detail=detail, **times)


def _refused(command: Command, order: Order, client: RobotClient, error: Rejected, began_at: datetime) -> None:
    """The robot said no. Where its profile doubts such words, its state decides."""
    answered_at = timezone.now()
    doubted = error.may_have_acted and order.look is not None
    look = readback.watch(order, client) if doubted else Look([], False, False)
    times: dict[str, Any] = {"seen": look.seen, "answered_at": answered_at}
    if error.may_have_acted:
        times["sent_at"] = began_at
    data = {"http_status": error.status}
    if look.shown:
        detail = f"The robot answered {str(error)!r}, but its state shows that it obeys."
        _confirmed(command, CommandStatus.SENDING, detail, data=data, **times)
        return
    detail = f"{error} Its state did not follow either." if doubted and look.heard else str(error)
    unknown = error.may_have_acted and not look.heard
    status = CommandStatus.OUTCOME_UNKNOWN if unknown else CommandStatus.REJECTED
    end(command, CommandStatus.SENDING, status, code=error.code, detail=detail, data=data, **times)


def _acknowledged(command: Command, order: Order, client: RobotClient, reply: Reply) -> None:
    times: dict[str, Any] = {"sent_at": recorder.moment(reply.sent_at), "answered_at": recorder.moment(reply.ended_at)}
    if order.look is None and order.job is None:
        detail = "The robot answered; it reports nothing that could confirm it."
        end(command, CommandStatus.SENDING, CommandStatus.ACKNOWLEDGED, code="not_observable", detail=detail, **times)
        return
    with transaction.atomic():
        if not command.advance(CommandStatus.SENDING, CommandStatus.ACKNOWLEDGED, detail=reply.message[:500], **times):
            return
        data = {"http_status": reply.status, "message": reply.message}
        tell("command.acknowledged", command, outcome=Outcome.OK, data=data)
    if order.job is not None and not following.named(command, order.job, reply):
        return
    watch(command, order, client, said=reply.message or repr(reply.status))


def watch(command: Command, order: Order, client: RobotClient, *, said: str) -> None:
    """The robot has answered: see whether it obeys, and end the command by that."""
    if order.job is not None and not following.begins(command, order, order.job, client):
        return
    look = readback.watch(order, client) if order.look else Look([], True, True)
    if look.shown:
        shows = "state shows that it obeys" if order.look else "own job shows that it works at it"
        _confirmed(command, CommandStatus.ACKNOWLEDGED, f"The robot's {shows}.", seen=look.seen)
        if order.job is not None:
            threads.start(threads.jobs, following.to_its_end, command.pk, client, order.job)
    elif look.heard:
        detail = f"The robot answered {said}, but its state did not follow within {order.confirm_within_s:g} s."
        if order.holds_s:
            detail += f" It must still hold after {order.holds_s:g} s."
        end(command, CommandStatus.ACKNOWLEDGED, CommandStatus.FAILED, code="not_obeyed", detail=detail, seen=look.seen)
    else:
        detail = "The robot answered, but could not be read back. What it did is unknown; look at its state."
        end(command, CommandStatus.ACKNOWLEDGED, CommandStatus.OUTCOME_UNKNOWN, code="unreadable", detail=detail)


def _confirmed(command: Command, expected: str, detail: str, **changes: Any) -> None:
    end(command, expected, CommandStatus.CONFIRMED, detail=detail, **changes)
