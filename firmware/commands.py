"""Accepting a command: checked, written down, and only then started. What becomes of it is `execution.py`'s."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
from django.db import transaction
from django.utils import timezone
from rest_framework import exceptions

from accounts import context, journal, permissions
from accounts.models import User
from firmware import execution, gate, jog, orders, presence, profile, threads, waiting
from firmware.errors import BadProfile
from firmware.language.kind import Profile
from firmware.models import Command, CommandStatus, Robot, RobotState, Sequence
from firmware.orders import Order
from firmware.telling import tell
from robotctl import problems
from robotctl.problems import Problem

KEY_LIVES = timedelta(hours=24)
K = TypeVar("K", Command, Sequence)
Outcome = journal.Outcome


def submit(
    robot: Robot, user: User, *, name: str, params: Any, reason: str = "", key: str | None = None
) -> tuple[Command, bool]:
    """Accept a command and start it. Returns the row and whether it is new. Raises Problem, each journalled, without a row."""
    with refusals(robot, name, params, reason):
        try:
            spec = profile.load(robot.profile)
        except BadProfile as error:
            raise Problem(409, "bad_profile", str(error)) from error
        return _accept(robot, user, spec, name, orders.order(spec, name, params), reason, key)


@contextmanager
def refusals(robot: Robot, name: str, params: Any, reason: str = "") -> Iterator[None]:
    """Whatever is refused in here is journalled."""
    try:
        yield
    except exceptions.APIException as refusal:
        told = problems.body(refusal)
        data = {
            "name": name,
            "params": params,
            "code": told["code"],
            "detail": getattr(refusal, "recorded", "") or told["detail"][:500],
        }
        journal.record("command.refused", name[:60], robot=robot.slug, outcome=Outcome.DENIED, reason=reason, data=data)
        raise


def _accept(
    robot: Robot, user: User, spec: Profile, name: str, order: Order, reason: str, key: str | None
) -> tuple[Command, bool]:
    digest = hashlib.sha256(msgspec.json.encode([name, order.params, reason], order="deterministic")).hexdigest()
    permissions.require(user, order.right, robot)  # nobody learns of an earlier command by guessing keys
    now = timezone.now()
    with transaction.atomic():
        row = RobotState.objects.select_for_update(of=("self",)).select_related("robot__site").get(robot=robot)
        if (earlier := same_key(Command, robot, user, key, digest)) is not None:
            return earlier, False
        command = place(row, user, spec, name, order, now, reason=reason, idempotency_key=key, body_digest=digest)
    return command, True


def place(row: RobotState, user: User, spec: Profile, name: str, order: Order, now: datetime, **about: Any) -> Command:
    """Write one order down, if nothing forbids it, and start it on commit. `row` is locked by the caller. Raises Problem."""
    # `now` is when it was asked for, and its deadline counts from there; the row may have been waited for since.
    gate.require(row, user, spec, name, order, timezone.now())
    if order.approval:
        waiting.require_room(row.robot_id, name, order.params)
    command = Command.objects.create(
        robot=row.robot,
        name=name,
        kind=order.kind,
        params=order.params,
        requested_by=user,
        carrier=presence.me(),
        hold_until=now + jog.BEGINS_WITHIN if order.hold else None,
        status=CommandStatus.AWAITING_APPROVAL if order.approval else CommandStatus.ACCEPTED,
        request_id=context.current().request_id,
        created_at=now,
        deadline_at=now + (gate.APPROVED_WITHIN if order.approval else timedelta(seconds=order.deadline_s)),
        **about,
    )
    if order.approval:
        waiting.count(row.robot_id)
    tell(f"command.{command.status}", command, outcome=Outcome.OK)
    if order.hold:
        transaction.on_commit(lambda: jog.watch(command))
    if not order.approval:
        transaction.on_commit(lambda: running.start(command.pk))
    return command


def same_key(model: type[K], robot: Robot, user: User, key: str | None, digest: str) -> K | None:
    """What this idempotency key has made already. Raises 409 `duplicate` when it was something else."""
    if key is None:
        return None
    known = model._default_manager.select_related("robot", "requested_by")
    earlier = known.filter(robot=robot, requested_by=user, idempotency_key=key).first()
    if earlier is None:
        return None
    if earlier.created_at < timezone.now() - KEY_LIVES:
        model._default_manager.filter(pk=earlier.pk).update(idempotency_key=None)
        return None
    if earlier.body_digest != digest:
        raise Problem(409, "duplicate", "This Idempotency-Key was used for another one in the last 24 hours.")
    return earlier


class Running:
    """Commands under way in this process; a request may wait for one of them."""

    def __init__(self) -> None:
        self._futures: dict[int, Future[None]] = {}

    def start(self, command_id: int) -> None:
        future = threads.start(threads.commands, execution.run, command_id)
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
