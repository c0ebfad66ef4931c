"""A process is killed while it carries out a command: within seconds its command has an honest end, and nothing is sent again."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import JournalEntry
from firmware import presence, reconciliation, threads
from firmware.models import Command, Robot
from robotctl.tests.fixtures import until

pytestmark = pytest.mark.django_db(transaction=True)


def killed(name: str = "elsewhere:1:1") -> str:
    """The name of a process that has lived here and was killed."""
    presence.Presence(name)._file.close()
    return name


def open_command(robot: Robot, status: str, *, carrier: str, name: str = "move", **more: Any) -> Command:
    now = timezone.now()
    about = {"kind": "motion", "params": {"target_m": 90.0}, "deadline_at": now + timedelta(seconds=10)}
    sent_at = None if status == "accepted" else now
    return Command.objects.create(
        robot=robot, name=name, status=status, carrier=carrier, sent_at=sent_at, **about | more
    )


def taken_over(robot: Robot, command: Command) -> Command:
    reconciliation.take_over([robot.pk])
    assert threads.settle(20)
    command.refresh_from_db()
    return command


def test_what_was_not_sent_expires(robots: Any) -> None:
    robot, simulator = robots()
    ended = taken_over(robot, open_command(robot, "accepted", carrier=killed()))
    assert (ended.status, ended.code, ended.sent_at) == ("expired", "expired", None)
    assert simulator.truth()["bodies_received"] == 0


@pytest.mark.parametrize("status", ["sending", "acknowledged"])
def test_what_the_robot_shows_is_confirmed_by_reading_it(status: str, api: Any, robots: Any) -> None:
    robot, simulator = robots()
    api("alice").send("oht-01", "move", {"target_m": 90.0}, wait_s=8)
    Command.objects.all().delete()
    command = open_command(robot, status, carrier=killed())
    before = simulator.truth()["bodies_received"]
    ended = taken_over(robot, command)
    assert (ended.status, ended.code) == ("confirmed", None)
    assert "process went away" in ended.detail and simulator.truth()["bodies_received"] == before
    assert JournalEntry.objects.filter(verb="command.confirmed").latest("pk").data["command"] == command.pk


def test_what_the_robot_does_not_show_is_unknown(robots: Any) -> None:
    robot, simulator = robots()
    ended = taken_over(robot, open_command(robot, "sending", carrier=killed()))
    assert (ended.status, ended.code) == ("outcome_unknown", "abandoned")
    assert JournalEntry.objects.get(verb="command.outcome_unknown").outcome == "unknown"
    assert simulator.truth()["bodies_received"] == 0, "it is not sent again"


def test_what_another_order_may_have_done_is_credited_to_nobody(api: Any, robots: Any) -> None:
    robot, _ = robots()
    command = open_command(robot, "sending", carrier=killed())
    api("alice").send("oht-01", "move", {"target_m": 90.0}, wait_s=8)
    assert taken_over(robot, command).status == "outcome_unknown"


def test_a_robot_that_cannot_be_read_leaves_it_unknown(robots: Any) -> None:
    robot, simulator = robots()
    command = open_command(robot, "sending", carrier=killed())
    simulator.fault("refuse")
    assert taken_over(robot, command).status == "outcome_unknown"


def test_all_commands_of_a_dead_process_are_found_not_only_the_first(robots: Any) -> None:
    robot, _ = robots()
    carrier = killed()
    made = [open_command(robot, "accepted", carrier=carrier) for _ in range(3)]
    for command in made:
        taken_over(robot, command)
    assert set(Command.objects.values_list("status", flat=True)) == {"expired"}


def test_a_process_that_lives_is_left_alone(robots: Any) -> None:
    robot, _ = robots()
    living = presence.Presence("elsewhere:2:2")
    ours = open_command(robot, "sending", carrier=presence.me())
    theirs = open_command(robot, "sending", carrier="elsewhere:2:2")
    foreign = open_command(robot, "sending", carrier="another-machine:1:1")
    assert [taken_over(robot, one).status for one in (ours, theirs, foreign)] == ["sending"] * 3
    living.end()
    Command.objects.update(deadline_at=timezone.now() - timedelta(minutes=1))
    assert taken_over(robot, foreign).status == "outcome_unknown", "of other machines only time tells"


def test_two_who_take_over_at_once_end_it_once(robots: Any) -> None:
    robot, _ = robots()
    open_command(robot, "sending", carrier=killed())
    for _ in range(3):
        reconciliation.take_over([robot.pk])
    assert threads.settle(20)
    assert JournalEntry.objects.filter(verb="command.outcome_unknown").count() == 1


def test_the_poll_loop_takes_over_within_seconds(robots: Any, polling: Any) -> None:
    robot, _ = robots()
    command = open_command(robot, "accepted", carrier=killed())
    polling()
    began = time.monotonic()
    until(lambda: Command.objects.get(pk=command.pk).ended_at, timeout_s=15)
    assert time.monotonic() - began < 15
