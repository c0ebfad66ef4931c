"""The clock of a host is set. Set on, everything looks old until it is read again; set back, what is dated later than now is not
believed, and nothing waits for those times to come. The rows are given the times that such a clock leaves in them."""

import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import JournalEntry
from firmware import jog
from firmware.models import Command, RobotState, Sequence
from firmware.schedule import Schedule
from firmware.tests.test_jog import at_rest, held
from firmware.tests.test_sequences import ask
from robotctl.tests.fixtures import until

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)
STATE = "/api/v1/robots/oht-01/state/"


def shift(by: timedelta = HOUR) -> None:
    """Every time in the robot's row, moved."""
    row = RobotState.objects.get()
    for name, reading in row.readings.items():
        row.readings[name] = [reading[0], reading[1] + by.total_seconds()]
    for field in RobotState._meta.concrete_fields:
        if isinstance(value := getattr(row, field.name), datetime):
            setattr(row, field.name, value + by)
    row.save()


def live(api: Any) -> bool:
    document = api("bob").get(STATE).json()
    return bool(document["mode"] == "online" and document["machine_state"]["quality"] == "live")


def test_what_is_dated_later_than_now_is_neither_fresh_nor_a_contact(api: Any, robots: Any) -> None:
    robots()
    assert live(api)
    shift()
    document = api("bob").get(STATE).json()
    assert (document["mode"], document["machine_state"]["quality"]) == ("offline", "never")
    assert document["machine_state"]["value"] is None
    assert api("alice").send("oht-01", "move", {"target_m": 40}).status_code == 409


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_a_robot_is_live_again_within_seconds(by: timedelta, api: Any, robots: Any, polling: Any) -> None:
    robots()
    shift(by)
    polling()
    until(lambda: live(api), timeout_s=8)
    told = JournalEntry.objects.filter(verb="robot.clock_set_back").count()
    assert told == (1 if by > timedelta(0) else 0)
    assert not JournalEntry.objects.filter(verb="robot.restarted").exists()


def test_it_is_said_once_of_a_robot_that_stays_silent(api: Any, robots: Any, polling: Any) -> None:
    _, simulator = robots()
    simulator.fault("refuse")
    shift()
    polling()
    until(lambda: RobotState.objects.get().failures > 3, timeout_s=15)
    assert JournalEntry.objects.filter(verb="robot.clock_set_back").count() == 1


def test_the_next_probe_is_not_an_hour_away(robots: Any) -> None:
    from firmware.clients import client_for

    robot, _ = robots()
    RobotState.objects.update(breaker_opened_at=timezone.now(), next_probe_at=timezone.now() + HOUR)
    schedule = Schedule(robot, client_for(robot), robot.wiring)
    schedule.hold_back(RobotState.objects.get(), stop_stands=False)
    assert schedule.probe_at is not None and schedule.probe_at - time.monotonic() <= 5


def test_a_stop_that_is_not_confirmed_is_repeated_all_the_same(api: Any, robots: Any, polling: Any) -> None:
    _, simulator = robots()
    simulator.fault("refuse")
    api("bob").post("/api/v1/robots/oht-01/stop/", {}, format="json")
    shift()
    simulator.clear()
    polling()
    until(lambda: simulator.truth()["state"] == "ESTOP", timeout_s=10)
    until(lambda: RobotState.objects.get().stop_status == "confirmed", timeout_s=10)


def test_a_jog_is_let_go_by_a_clock_that_nobody_sets(robots: Any, api: Any) -> None:
    _, simulator = robots()
    command = held(api)
    Command.objects.filter(pk=command).update(hold_until=timezone.now() + HOUR)
    until(lambda: at_rest(simulator), timeout_s=8)
    assert Command.objects.get(pk=command).released_at is not None


def test_a_jog_whose_process_is_gone_is_found_too(robots: Any, api: Any) -> None:
    robot, simulator = robots()
    api("alice").send("oht-01", "move", {"target_m": 90.0}, wait_s=8)  # stands for what the lost process had begun
    Command.objects.update(name="jog", params={"speed_mps": 0.4}, hold_until=timezone.now() + HOUR)
    jog.find_lost([robot.pk])
    until(lambda: at_rest(simulator), timeout_s=8)


def test_a_command_that_nobody_knows_how_old_it_is_is_not_sent(robots: Any) -> None:
    from firmware import execution

    robot, simulator = robots()
    later = timezone.now() + HOUR
    command = Command.objects.create(
        robot=robot, name="move", kind="motion", params={"target_m": 40}, created_at=later, deadline_at=later
    )
    execution.run(command.pk)
    command.refresh_from_db()
    assert (command.status, simulator.truth()["bodies_received"]) == ("expired", 0)


def test_a_sequence_does_not_go_on(api: Any, robots: Any, polling: Any) -> None:
    robots()
    ask(api)
    until(lambda: Command.objects.get().ended_at)
    Sequence.objects.update(step_began_at=timezone.now() + HOUR, watched_until=timezone.now() + HOUR)
    polling()
    until(lambda: Sequence.objects.get().ended_at)
    assert (Sequence.objects.get().code, Command.objects.count()) == ("not_watched", 1)
