"""Hold-to-run: it moves while the button is held, and whatever ends the holding brings it to rest."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import JournalEntry
from firmware import execution, jog
from firmware.models import Command, RobotState
from robotctl.tests.fixtures import look, until

pytestmark = pytest.mark.django_db(transaction=True)


def url(path: str) -> str:
    return f"/api/v1/{path}"


def held(api: Any, speed: float = 0.4, who: str = "alice") -> int:
    """A jog under way."""
    answer = api(who).send("oht-01", "jog", {"speed_mps": speed}, wait_s=8)
    assert answer.json().get("status") == "confirmed", answer.content
    return int(answer.json()["id"])


def beat(api: Any, command: int, who: str = "alice") -> Any:
    return api(who).post(url(f"commands/{command}/hold/"))


def at_rest(simulator: Any) -> bool:
    truth = simulator.truth()
    return bool(truth["state"] == "IDLE" and truth["speed_mps"] == 0)


def why() -> str:
    return str(JournalEntry.objects.get(verb="command.released").data["why"])


@pytest.mark.parametrize("direction", [1, -1])
def test_it_moves_while_it_is_held_and_rests_when_it_is_let_go(direction: int, robots: Any, api: Any) -> None:
    _, simulator = robots()
    began = simulator.truth()["position_m"]
    command = held(api, 0.4 * direction)
    for _ in range(10):
        assert beat(api, command).status_code == 200
        time.sleep(0.2)
    truth = simulator.truth()
    assert truth["state"] == "MOVE" and (truth["position_m"] - began) * direction > 0.2
    answer = api("alice").post(url(f"commands/{command}/release/"))
    assert answer.status_code == 200
    until(lambda: at_rest(simulator), timeout_s=5)
    halt = Command.objects.get(name="halt")
    assert (halt.status, halt.requested_by.username if halt.requested_by else None) == ("confirmed", "alice")
    assert why() == "the button" and not RobotState.objects.get().stop_latched
    assert beat(api, command).json()["code"] == "released"


def test_a_page_that_is_lost_ends_it_within_seconds(robots: Any, api: Any) -> None:
    _, simulator = robots()
    command = held(api)
    for _ in range(3):
        beat(api, command)
        time.sleep(0.3)
    lost_at = time.monotonic()
    until(lambda: simulator.truth()["state"] == "IDLE", timeout_s=5)
    assert time.monotonic() - lost_at < 3
    until(lambda: at_rest(simulator), timeout_s=5)
    assert why() == "its page was lost"


def test_a_button_that_never_gave_a_sign_is_let_go(robots: Any, api: Any) -> None:
    _, simulator = robots()
    held(api)
    until(lambda: at_rest(simulator), timeout_s=8)


def test_the_process_that_took_it_is_gone_and_the_poll_process_halts_it(robots: Any, api: Any, polling: Any) -> None:
    robot, simulator = robots()
    api("alice").send("oht-01", "move", {"target_m": 90.0}, wait_s=8)  # stands for what the lost process had begun
    now = timezone.now()
    Command.objects.update(name="jog", params={"speed_mps": 0.4}, hold_until=now - timedelta(seconds=1))
    polling()
    until(lambda: at_rest(simulator), timeout_s=10)
    assert why() == "its process was lost" and robot.slug == "oht-01"


def test_control_that_is_broken_ends_it(robots: Any, api: Any) -> None:
    _, simulator = robots()
    command = held(api)
    assert beat(api, command).status_code == 200
    api("erin").post(url("robots/oht-01/lease/break/"), {"reason": "in the way"}, format="json")
    assert api("erin").post(url("robots/oht-01/lease/")).status_code == 200
    refused = beat(api, command)
    assert (refused.status_code, refused.json()["code"]) == (409, "lease_held")
    until(lambda: at_rest(simulator), timeout_s=5)
    assert why() == "control was lost"


def test_a_stop_ends_it_and_is_not_undone(robots: Any, api: Any) -> None:
    _, simulator = robots()
    command = held(api)
    api("bob").post(url("robots/oht-01/stop/"))
    assert beat(api, command).json()["code"] == "released"
    until(lambda: Command.objects.get(pk=command).released_at, timeout_s=5)
    assert simulator.truth()["state"] == "ESTOP"
    assert RobotState.objects.get().stop_status == "confirmed"
    assert not Command.objects.filter(name="halt").exists()


def test_what_is_let_go_before_it_was_sent_is_never_sent(robots: Any) -> None:
    robot, simulator = robots()
    now = timezone.now()
    about = {"kind": "motion", "params": {"speed_mps": 0.4}, "deadline_at": now + timedelta(seconds=10)}
    command = Command.objects.create(robot=robot, name="jog", hold_until=now, released_at=now, **about)
    execution.run(command.pk)
    command.refresh_from_db()
    assert (command.status, command.code) == ("cancelled", "released")
    assert simulator.truth()["bodies_received"] == 0


def test_a_robot_that_does_not_halt_is_stopped(robots: Any, api: Any) -> None:
    _, simulator = robots()
    command = Command.objects.select_related("robot", "requested_by").get(pk=held(api))
    simulator.fault("error", 500, path="/api/v1/state/stop")
    jog.let_go(command, why="the button")
    until(lambda: simulator.truth()["state"] == "ESTOP", timeout_s=15)
    row = RobotState.objects.get()
    assert row.stop_latched and "could not be halted" in str(row.stop_reason)


@pytest.mark.parametrize(("who", "status"), [(None, 401), ("bob", 403), ("charlie", 404), ("erin", 403)])
def test_only_who_holds_it_gives_signs(who: str | None, status: int, robots: Any, api: Any) -> None:
    robots()
    command = held(api)
    assert api(who).post(url(f"commands/{command}/hold/")).status_code == status


def test_no_direction_and_too_fast_are_refused_at_the_field(robots: Any, api: Any) -> None:
    robots()
    for speed, words in ((0, "0 is no direction."), (0.6, "Must be from -0.5 to 0.5 m/s; 0.6 is not.")):
        answer = api("alice").send("oht-01", "jog", {"speed_mps": speed})
        assert (answer.status_code, answer.json()["errors"]["params.speed_mps"]) == (400, [words])


def test_a_command_that_is_not_held_takes_no_sign(robots: Any, api: Any) -> None:
    robot, _ = robots()
    command = api("alice").send("oht-01", "move", {"target_m": 20.0}, wait_s=8).json()["id"]
    assert beat(api, command).json()["code"] == "not_held"
    look(robot)


@pytest.mark.parametrize(("fault", "status"), [("deny", "rejected"), ("refuse", "failed")])
def test_a_jog_that_never_began_halts_and_stops_nobody(fault: str, status: str, robots: Any, api: Any) -> None:
    """The robot said no, or could not be reached: letting go of the button must not latch a stop on it."""
    _, simulator = robots()
    simulator.fault(fault)
    answer = api("alice").send("oht-01", "jog", {"speed_mps": 0.3}, wait_s=8).json()
    assert answer["status"] == status
    api("alice").post(url(f"commands/{answer['id']}/release/"))
    assert Command.objects.get(name="jog").released_at is not None
    assert not Command.objects.filter(name="halt").exists()
    assert not RobotState.objects.get().stop_latched


def test_of_many_who_find_it_lost_one_halts_it(robots: Any, api: Any, polling: Any) -> None:
    robot, simulator = robots()
    command = held(api)
    polling()
    Command.objects.filter(pk=command).update(hold_until=timezone.now() - timedelta(seconds=1))
    for _ in range(5):
        jog.find_lost([robot.pk])
    until(lambda: at_rest(simulator), timeout_s=8)
    assert Command.objects.filter(name="halt").count() == 1
    assert JournalEntry.objects.filter(verb="command.released").count() == 1
    assert not RobotState.objects.get().stop_latched
