"""A robot's job is followed to its end although the process that began to follow it is gone."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import JournalEntry
from firmware import presence, reconciliation, threads
from firmware.models import Command
from firmware.tests.machines.lift import Lift
from firmware.tests.test_lift_connected import command, live
from firmware.tests.test_lift_connected import lift as lift
from firmware.tests.test_lift_connected import profile_file as profile_file
from firmware.tests.test_lift_connected import robot as robot
from firmware.tests.test_reconciliation import killed
from robotctl.tests.fixtures import until

pytestmark = pytest.mark.django_db(transaction=True)


def begun_elsewhere(api: Any, robot: Any, status: str, carrier: str | None = None) -> Command:
    """A goal that the lift works at, as the row of a process that was killed left it. Its name is the robot's own."""
    made = Command.objects.get(pk=command(api, "goal", target_m=11.5)["id"])
    assert made.job, "the robot's name for it is kept"
    now = timezone.now()
    return Command.objects.create(
        robot=robot,
        name="goal",
        kind="motion",
        params={"target_m": 40.0},  # where it does not go: only the job can show that it is done
        job=made.job,
        status=status,
        carrier=carrier or killed(),
        sent_at=now,
        answered_at=now,
        ended_at=now if status == "confirmed" else None,
        deadline_at=now + timedelta(seconds=10),
    )


@pytest.mark.parametrize("status", ["acknowledged", "confirmed"])
def test_its_job_is_followed_on(status: str, robot: Any, lift: Lift, api: Any, polling: Any) -> None:
    polling()
    live(api)
    left = begun_elsewhere(api, robot, status)
    until(lambda: Command.objects.get(pk=left.pk).done_at, timeout_s=15)
    left.refresh_from_db()
    assert (left.status, left.code, left.carrier) == ("confirmed", None, presence.me())
    assert JournalEntry.objects.filter(verb="command.done", data__command=left.pk).count() == 1
    assert threads.settle(20)


def test_a_job_that_another_process_follows_is_left_to_it(robot: Any, lift: Lift, api: Any, polling: Any) -> None:
    polling()
    live(api)
    left = begun_elsewhere(api, robot, "confirmed", carrier=presence.me())
    reconciliation.take_over([robot.pk])
    assert threads.settle(20)
    assert Command.objects.get(pk=left.pk).done_at is None
