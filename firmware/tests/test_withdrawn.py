"""What allowed a motion may be withdrawn between its acceptance and its first byte, or while it is held: then it does not go on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from accounts.models import JournalEntry, User
from firmware.clients import client_for
from firmware.errors import FirmwareError
from firmware.models import Command, Robot, RobotState
from firmware.tests.test_jog import at_rest, beat, held
from robotctl.tests.fixtures import until

pytestmark = pytest.mark.django_db(transaction=True)
MOVE = "POST /api/v1/motion/segment/start"
BASE = "/api/v1/robots/oht-01"


def _broken(api: Any) -> None:
    assert api("erin").post(f"{BASE}/lease/break/", {"reason": "mine"}).status_code == 200


def _taken(api: Any) -> None:
    _broken(api)
    assert api("erin").post(f"{BASE}/lease/").status_code == 200


def _maintained(api: Any) -> None:
    assert api("erin").post(f"{BASE}/maintenance/", {"on": True, "reason": "belt"}).status_code == 200


def _disabled(api: Any) -> None:
    assert api("erin").patch(f"{BASE}/", {"enabled": False}).status_code == 200


def _demoted(_: Any) -> None:
    User.objects.filter(username="alice").update(role="viewer")


def _deactivated(_: Any) -> None:
    User.objects.filter(username="alice").update(is_active=False)


WITHDRAWN = [
    (_broken, "lease_held"), (_taken, "lease_held"), (_maintained, "mode_forbids"), (_disabled, "robot_disabled"),
    (_demoted, "permission_denied"), (_deactivated, "permission_denied"),
]  # fmt: skip


@contextmanager
def robot_is_busy(robot: Robot, simulator: Any) -> Iterator[None]:
    """Some other request has the robot's turn for a second and a half."""
    simulator.fault("slow", 1.5, path="/api/v1/control/status")
    reading = threading.Thread(target=_read, args=[robot])
    reading.start()
    until(lambda: simulator.truth()["by_path"].get("GET /api/v1/control/status", 0) > 3)
    yield
    reading.join()
    simulator.clear()


def _read(robot: Robot) -> None:
    from django.db import connections

    try:
        client_for(robot).read("control")
    except FirmwareError:
        pass
    finally:
        connections.close_all()


@pytest.mark.parametrize(("withdraw", "code"), WITHDRAWN, ids=lambda one: getattr(one, "__name__", None))
def test_a_motion_that_waits_for_its_turn_is_not_sent(
    withdraw: Callable[[Any], None], code: str, api: Any, robots: Any
) -> None:
    robot, simulator = robots()
    with robot_is_busy(robot, simulator):
        assert api("alice").send("oht-01", "move", {"target_m": 40}).status_code == 201
        until(lambda: Command.objects.get().status == "sending")
        withdraw(api)
    until(lambda: Command.objects.get().ended_at)
    row = Command.objects.get()
    assert (row.status, row.code, row.sent_at, row.attempts) == ("cancelled", code, None, 0), row.detail
    assert MOVE not in simulator.truth()["by_path"]


@pytest.mark.parametrize(("withdraw", "code"), WITHDRAWN[:4], ids=lambda one: getattr(one, "__name__", None))
def test_a_jog_that_is_held_is_halted(withdraw: Callable[[Any], None], code: str, api: Any, robots: Any) -> None:
    _, simulator = robots()
    command = held(api)
    assert beat(api, command).status_code == 200
    withdraw(api)
    refused = beat(api, command)
    assert (refused.status_code, refused.json()["code"]) == (409, code)
    until(lambda: at_rest(simulator), timeout_s=8)


def test_no_motion_while_an_older_one_is_unanswered(api: Any, robots: Any, polling: Any) -> None:
    _, simulator = robots()
    polling()
    simulator.fault("slow", 6, path="/api/v1/motion/segment/start", count=1)
    first = api("alice").send("oht-01", "move", {"target_m": 50}, wait_s=8).json()
    assert (first["status"], first["code"]) == ("outcome_unknown", "no_reply")
    second = api("alice").send("oht-01", "move", {"target_m": 12})
    assert (second.status_code, second.json()["code"]) == (409, "state_forbids")
    assert "not been answered" in second.json()["detail"]
    assert api("alice").send("oht-01", "halt").status_code in (201, 409), "what ends motion is not kept back by it"
    until(lambda: Command.objects.get(pk=first["id"]).answered_at, timeout_s=12)


def test_no_motion_while_a_reset_is_being_watched(api: Any, robots: Any, polling: Any) -> None:
    _, simulator = robots()
    polling()
    api("bob").post(f"{BASE}/stop/", {})
    answers: list[Any] = []
    work = threading.Thread(
        target=lambda: answers.append(api("erin").post(f"{BASE}/stop/reset/", {"reason": "ok"}).json())
    )
    work.start()
    until(lambda: RobotState.objects.get().resetting_until)
    until(lambda: simulator.truth()["state"] == "IDLE")  # it has left its stop, and must stay so for two seconds
    codes = {api("alice").send("oht-01", "move", {"target_m": 40}).json().get("code") for _ in range(4)}
    assert codes == {"stop_latched"} and MOVE not in simulator.truth()["by_path"]
    work.join()
    assert answers[0]["status"] == "confirmed"


def test_a_robot_that_moves_is_not_reset_and_its_stop_stands(api: Any, robots: Any) -> None:
    _, simulator = robots()
    api("alice").send("oht-01", "move", {"target_m": 90}, wait_s=8)
    simulator.fault("disobey")
    stopped = api("bob").post(f"{BASE}/stop/", {}).json()["results"][0]
    assert stopped["status"] == "sent"
    reset = api("erin").post(f"{BASE}/stop/reset/", {"reason": "seems fine"}).json()
    assert (reset["status"], reset["code"]) == ("failed", "moving"), reset
    row = RobotState.objects.get()
    assert row.stop_latched and row.resetting_until is None
    assert JournalEntry.objects.get(verb="reset.failed").data["code"] == "moving"


def test_a_reset_whose_process_dies_holds_the_repeated_stop_up_for_seconds_only(api: Any, robots: Any) -> None:
    from firmware import reset

    assert reset.LOCK_FOR.total_seconds() <= 6
    robot, simulator = robots()
    api("bob").post(f"{BASE}/stop/", {})
    work = threading.Thread(target=lambda: api("erin").post(f"{BASE}/stop/reset/", {"reason": "ok"}))
    work.start()
    first = until(lambda: RobotState.objects.get().resetting_until)
    work.join()
    assert first is not None and robot.slug == "oht-01" and simulator.truth()["state"] == "IDLE"
