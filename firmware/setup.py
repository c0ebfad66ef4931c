"""Calls that a robot needs before it can be used (take remote control, connect): made while it reads so, never moving it."""

import time

from django.utils import timezone

from accounts import journal
from firmware import conditions, reset, state, stopping, threads
from firmware.client import RobotClient
from firmware.errors import FirmwareError
from firmware.models import Robot, RobotState

_not_before: dict[tuple[int, str], float] = {}  # (robot, call) → monotonic; only the poll process makes calls


def make_due(robot: Robot, client: RobotClient, row: RobotState) -> None:
    """Start the calls that are due. A stopped robot, or one in maintenance, is left alone."""
    spec = client.profile
    if not spec.setup or row.stop_latched or not robot.enabled or row.recorded_mode == "maintenance":
        return
    now = timezone.now()
    live = {
        name: reading["value"]
        for name in spec.fields
        if (reading := state.reading(robot, row, spec, name, now))["quality"] == "live"
    }
    if reset.in_a_stop(spec, live):
        return  # whoever stopped it, nothing goes out to it by itself
    for name, call in spec.setup.items():
        due = time.monotonic() >= _not_before.get((robot.pk, name), 0.0)
        if due and conditions.hold(call.when, live):
            _not_before[robot.pk, name] = time.monotonic() + call.again_after_s
            threads.start(threads.commands, _call, robot, client, name)


def _call(robot: Robot, client: RobotClient, name: str) -> None:
    call = client.profile.setup[name]
    data: dict[str, object] = {"call": name, "title": call.title}
    journal.record("robot.setup_requested", robot.slug, robot=robot.slug, data=data)  # no row, no call
    try:
        reply = client.act(
            call,
            {},
            what=f"setup {name}",
            motion=True,
            unless=lambda: ("stop_latched", "The robot is stopped.") if stopping.is_stopped(robot) else None,
        )
    except FirmwareError as error:
        outcome = journal.Outcome.UNKNOWN if error.may_have_acted else journal.Outcome.FAILED
        data |= {"code": error.code, "detail": str(error)}
    else:
        outcome = journal.Outcome.OK
        data["http_status"] = reply.status
    journal.record("robot.setup", robot.slug, robot=robot.slug, outcome=outcome, data=data)
