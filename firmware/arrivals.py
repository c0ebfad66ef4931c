"""Commands whose robot has reached what they asked for."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Max

from accounts import context, journal
from accounts.models import JournalEntry
from firmware import conditions, interruptions, profile
from firmware.models import Command, CommandStatus, RobotState
from firmware.telling import took_s

ARRIVAL_WATCHED_FOR = timedelta(hours=1)


def arrivals(rows: dict[int, RobotState], now: datetime) -> list[JournalEntry]:
    """Commands whose robot has reached what they asked for: one query for the batch."""
    waiting = Command.objects.filter(
        robot_id__in=rows,
        status=CommandStatus.CONFIRMED,
        done_at=None,
        code=None,
        created_at__gt=now - ARRIVAL_WATCHED_FOR,
    )
    told = interruptions.interrupt(waiting, rows)
    latest = _latest_of_each(waiting)
    for command in waiting:
        row = rows[command.robot_id]
        stopped = row.stop_at is not None and command.created_at < row.stop_at
        if stopped or command.code or command.pk != latest.get(command.robot_id):
            continue  # another order has taken its place: it does not arrive any more
        spec = profile.load_or_unusable(row.robot.profile).commands.get(command.name)
        if spec is None or command.ended_at is None or command.sent_at is None:
            continue
        since = command.sent_at.timestamp()
        values = {name: value for name, (value, began_at) in row.readings.items() if began_at > since}
        if conditions.hold(spec.done, values, command.params):
            Command.objects.filter(pk=command.pk, done_at=None).update(done_at=now)
            told.append(_done(command, row.robot.slug, now))
    return told


def _latest_of_each(waiting: Iterable[Command]) -> dict[int, int]:
    """Robot → its newest command that moves or halts it. No query when none waits."""
    robot_ids = {command.robot_id for command in waiting}
    if not robot_ids:
        return {}
    moving = Command.objects.filter(robot_id__in=robot_ids, kind__in=("motion", "stop"), sent_at__isnull=False)
    return dict(moving.order_by().values_list("robot_id").annotate(Max("pk")))


def _done(command: Command, slug: str, now: datetime) -> JournalEntry:
    data = {"command": command.pk, "name": command.name, "by": journal.who(command.requested_by_id)}
    data["took_s"] = took_s(command, now)
    return journal.entry("command.done", str(command), robot=slug, data=data, origin=_origin(command))


def _origin(command: Command) -> context.Origin:
    return context.Origin(request_id=command.request_id)
