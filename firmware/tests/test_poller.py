"""The poll loop: live, shared, undisturbed by a robot that hangs, and honest about silence."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import JournalEntry
from firmware import leases, presence
from firmware.models import PollLease, Robot, RobotState
from robotctl.tests.fixtures import until
from robotctl.tests.system import register

pytestmark = pytest.mark.django_db(transaction=True)


def mode_of(slug: str) -> str:
    return str(RobotState.objects.get(robot__slug=slug).recorded_mode)


def observed_at(slug: str) -> float:
    found = RobotState.objects.get(robot__slug=slug).readings.get("machine_state")
    return float(found[1]) if found else 0.0


def test_robots_come_online_and_stay_fresh(robots: Any, polling: Any) -> None:
    for number in (1, 2, 3):
        robots(f"oht-0{number}", read=False)
    polling()
    until(lambda: {mode_of(f"oht-0{number}") for number in (1, 2, 3)} == {"online"}, timeout_s=8)
    first = observed_at("oht-01")
    until(lambda: observed_at("oht-01") > first + 0.5)


def test_a_robot_that_hangs_keeps_its_last_state_and_holds_up_nobody(robots: Any, polling: Any) -> None:
    _, hanging = robots("oht-01", read=False)
    robots("oht-02", read=False)
    polling()
    until(lambda: mode_of("oht-01") == mode_of("oht-02") == "online")
    hanging.fault("hang")
    until(lambda: mode_of("oht-01") == "degraded")
    stood = observed_at("oht-01")
    requests = hanging.truth()["requests"]
    time.sleep(3.5)
    assert observed_at("oht-01") == stood  # nothing newer is invented
    assert hanging.truth()["requests"] - requests <= 1  # while one is unanswered, reads are not repeated
    assert time.time() - observed_at("oht-02") < 1.5
    hanging.clear()
    until(lambda: mode_of("oht-01") == "online", timeout_s=10)
    assert observed_at("oht-01") > stood


def test_silence_becomes_offline_after_ten_seconds(robots: Any, polling: Any) -> None:
    _, simulator = robots("oht-01", read=False)
    polling()
    until(lambda: mode_of("oht-01") == "online")
    simulator.fault("refuse")
    until(lambda: mode_of("oht-01") == "offline", timeout_s=15)
    simulator.clear()
    until(lambda: mode_of("oht-01") == "online", timeout_s=10)
    rows = list(
        JournalEntry.objects.filter(robot="oht-01", verb__in=["robot.online", "robot.offline"])
        .order_by("pk")
        .values_list("verb", flat=True)
    )
    assert rows == ["robot.online", "robot.offline", "robot.online"]


def test_a_robot_registered_disabled_or_moved_is_noticed(robots: Any, polling: Any, simulators: Any) -> None:
    robot, _ = robots("oht-01", read=False)
    polling()
    until(lambda: mode_of("oht-01") == "online")
    other = simulators()
    other.place(55.0)
    Robot.objects.filter(pk=robot.pk).update(base_url=other.url)
    until(lambda: RobotState.objects.get().readings.get("position_m", [0])[0] == 55.0)
    Robot.objects.filter(pk=robot.pk).update(enabled=False)
    until(lambda: not PollLease.objects.exclude(owner="").exists())


def test_two_poll_processes_share_a_fleet_and_take_over_from_one_that_is_gone(transactional_db: None) -> None:
    for number in range(10):
        register(f"oht-{number}", f"http://127.0.0.1:{1000 + number}")
    now = timezone.now()
    assert len(leases.hold_share("one", now)) == 10
    leases.hold_share("two", now)
    first, second = leases.hold_share("one", now), leases.hold_share("two", now)
    assert (len(first), len(second)) == (5, 5)
    assert not first & second
    later = now + leases.LEASE_FOR + timedelta(seconds=1)  # "one" was killed
    assert len(leases.hold_share("two", later)) == 10


def test_a_poll_process_that_ends_gives_its_share_back_at_once(transactional_db: None) -> None:
    register("oht-01", "http://127.0.0.1:9")
    now = timezone.now()
    assert leases.hold_share("one", now)
    assert not leases.hold_share("two", now)
    leases.release("one", now)
    assert leases.hold_share("two", now)


def test_a_robot_out_of_service_has_no_lease_and_gets_one_when_it_is_back(transactional_db: None) -> None:
    for number in range(3):
        register(f"oht-{number}", f"http://127.0.0.1:{1000 + number}")
    now = timezone.now()
    leases.hold_share("one", now)
    Robot.objects.filter(slug="oht-1").update(enabled=False)
    assert len(leases.hold_share("one", now)) == 2
    assert set(PollLease.objects.values_list("owner", flat=True)) == {"one"}
    Robot.objects.filter(slug="oht-1").update(enabled=True)
    assert len(leases.hold_share("one", now)) == 3


def test_a_killed_poll_process_is_followed_at_once_on_its_own_machine(transactional_db: None) -> None:
    for number in range(4):
        register(f"oht-{number}", f"http://127.0.0.1:{1000 + number}")
    now = timezone.now()
    one = presence.Presence("one")
    assert leases.hold_share("one", now)
    assert not leases.hold_share("two", now)  # "one" lives
    one._file.close()  # what the kernel does for a process that was killed
    assert len(leases.hold_share("two", now)) == 4


def test_a_robot_whose_profile_is_gone_is_told_and_the_others_go_on(robots: Any, polling: Any) -> None:
    broken, _ = robots("oht-01", read=False)
    robots("oht-02", read=False)
    Robot.objects.filter(pk=broken.pk).update(profile="gone")
    polling()
    until(lambda: mode_of("oht-02") == "online")
    until(lambda: "no such profile" in RobotState.objects.get(robot=broken).last_error)
