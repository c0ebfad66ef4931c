"""Stop says what the robot shows, goes on by itself until it is so, and nothing stands in its way."""

import time
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import JournalEntry
from firmware import stop
from firmware.models import Command, Robot, RobotState
from robotctl.tests.fixtures import look, until

pytestmark = pytest.mark.django_db(transaction=True)


def press(client: Any, slug: str = "oht-01", **body: Any) -> dict[str, Any]:
    answer = client.post(f"/api/v1/robots/{slug}/stop/", body, format="json")
    assert answer.status_code == 200
    result: dict[str, Any] = answer.json()["results"][0]
    return result


def state_of(client: Any, slug: str = "oht-01") -> dict[str, Any]:
    document: dict[str, Any] = client.get(f"/api/v1/robots/{slug}/state/").json()
    return document


def verbs(prefix: str) -> list[str]:
    return list(JournalEntry.objects.filter(verb__startswith=prefix).order_by("pk").values_list("verb", flat=True))


@pytest.mark.parametrize("dialect", ["documented", "observed"])
def test_a_stop_is_confirmed_when_the_robot_reads_stopped(api: Any, robots: Any, dialect: str) -> None:
    _, simulator = robots(dialect=dialect)
    result = press(api("bob"), reason="person on the track")
    assert result["status"] == "confirmed"
    assert result["sent_at"] and result["confirmed_at"] and result["attempts"] == 1
    assert simulator.truth()["state"] == "ESTOP"
    document = state_of(api("bob"))
    assert document["machine_state"]["value"] == "estopped"
    assert document["stop"]["latched"] and document["stop"]["status"] == "confirmed"
    assert (document["stop"]["by"], document["stop"]["reason"]) == ("bob", "person on the track")
    assert verbs("stop.") == ["stop.requested", "stop.confirmed"]


def test_a_moving_robot_is_stopped_and_takes_no_motion_until_it_is_reset(api: Any, robots: Any) -> None:
    robots()
    api("alice").send("oht-01", "move", {"target_m": 90}, wait_s=8)
    assert press(api("bob"))["status"] == "confirmed"
    refused = api("alice").send("oht-01", "move", {"target_m": 20})
    assert (refused.status_code, refused.json()["code"]) == (409, "stop_latched")


def test_who_may_not_see_a_robot_may_not_stop_it_and_learns_nothing(api: Any, robots: Any) -> None:
    robots()
    assert api("charlie").post("/api/v1/robots/oht-01/stop/").status_code == 404
    assert api(None).post("/api/v1/robots/oht-01/stop/").status_code == 401
    assert not RobotState.objects.get().stop_latched


def test_an_unreachable_robot_is_never_called_stopped(api: Any, robots: Any) -> None:
    _, simulator = robots()
    simulator.fault("refuse")
    began = time.monotonic()
    result = press(api("bob"))
    assert time.monotonic() - began < 6
    assert (result["status"], result["confirmed_at"]) == ("not_confirmed", None)

    assert state_of(api("bob"))["stop"]["status"] == "not_confirmed"
    assert state_of(api("bob"))["stop"]["latched"]


def test_a_stop_that_answers_yes_without_stopping_is_only_sent(api: Any, robots: Any) -> None:
    _, simulator = robots()
    simulator.fault("disobey")
    result = press(api("bob"))
    assert (result["status"], result["confirmed_at"]) == ("sent", None)
    assert result["attempts"] > 3  # it is sent again after every read
    assert state_of(api("bob"))["stop"]["status"] == "sent"


def test_a_robot_that_comes_back_is_stopped_by_the_standing_order(api: Any, robots: Any, polling: Any) -> None:
    _, simulator = robots()
    simulator.fault("refuse")
    assert press(api("bob"))["status"] == "not_confirmed"
    polling()
    simulator.clear()
    until(lambda: RobotState.objects.get().stop_status == "confirmed", timeout_s=15)
    assert simulator.truth()["state"] == "ESTOP"
    assert verbs("stop.")[-1] == "stop.confirmed"


def test_what_a_stop_answers_is_what_the_state_shows_while_the_first_try_still_hangs(api: Any, robots: Any) -> None:
    _, simulator = robots()
    simulator.fault("hang")
    result = press(api("bob"))
    shown = state_of(api("bob"))["stop"]
    assert (result["status"], result["attempts"]) == (shown["status"], shown["attempts"]) == ("not_confirmed", 1)
    assert verbs("stop.") == ["stop.requested", "stop.not_confirmed"]


def test_each_press_has_its_outcome_and_the_first_keeps_its_time(api: Any, robots: Any, polling: Any) -> None:
    _, simulator = robots()
    simulator.fault("hang")
    press(api("bob"), reason="first")
    began = RobotState.objects.get().stop_at
    press(api("alice"), reason="second")
    row = RobotState.objects.get()
    assert (row.stop_by, row.stop_reason, row.stop_at) == ("bob", "first", began)
    assert verbs("stop.") == ["stop.requested", "stop.not_confirmed"] * 2
    polling()
    simulator.clear()
    until(lambda: RobotState.objects.get().stop_status == "confirmed", timeout_s=15)
    took_s = JournalEntry.objects.get(verb="stop.confirmed").data["took_s"]
    assert began is not None and took_s > 2 * stop.WIRE_WITHIN_S - 1  # from the first press on
    press(api("alice"), reason="to be sure")
    assert RobotState.objects.get().stop_by == "alice"  # it stood: this is a stop of its own


def test_a_hanging_robot_keeps_nobody_from_the_others(api: Any, robots: Any) -> None:
    _, hanging = robots("oht-01")
    robots("oht-02")
    hanging.fault("hang")
    began = time.monotonic()
    results = api("bob").post("/api/v1/stop/", {}, format="json").json()["results"]
    assert time.monotonic() - began < 6
    by_robot = {result["robot"]: result for result in results}
    assert by_robot["oht-02"]["status"] == "confirmed"
    assert by_robot["oht-01"]["status"] == "not_confirmed"


def test_stop_all_stops_what_the_person_may_see_and_in_every_mode(api: Any, robots: Any) -> None:
    robots("oht-01")
    robots("oht-02", read=False)  # never seen: its mode is offline
    Robot.objects.filter(slug="oht-02").update(enabled=False)
    results = api("bob").post("/api/v1/stop/", {}, format="json").json()["results"]
    assert {result["robot"]: result["status"] for result in results} == {"oht-01": "confirmed", "oht-02": "confirmed"}


def test_a_body_that_is_nonsense_does_not_keep_a_robot_moving(api: Any, robots: Any) -> None:
    robots()
    answer = api("bob").post("/api/v1/robots/oht-01/stop/", "{broken", content_type="application/json")
    assert answer.json()["results"][0]["status"] == "confirmed"


def test_an_unanswered_motion_request_keeps_a_stop_from_being_called_confirmed(api: Any, robots: Any) -> None:
    robot, _ = robots()
    now = timezone.now()
    Command.objects.create(
        robot=robot, name="move", kind="motion", status="outcome_unknown", code="no_reply", sent_at=now, deadline_at=now
    )
    result = press(api("bob"))
    assert result["status"] == "sent"
    assert "unanswered" in result["detail"]


def test_the_latch_survives_a_restart_of_the_robot_which_is_told(api: Any, robots: Any, polling: Any) -> None:
    robot, simulator = robots()
    press(api("bob"))
    simulator.restart()
    polling()
    until(lambda: "stop.left" in verbs("stop."))
    document = state_of(api("bob"))
    assert document["stop"]["latched"] and document["stop"]["left_at"]
    assert document["machine_state"]["value"] == "idle"
    assert state_of(api("alice"))["commands"]["move"]["code"] == "stop_latched"
    assert JournalEntry.objects.filter(verb="robot.restarted", robot=robot.slug).exists()
    assert simulator.truth()["by_path"].get("POST /api/v1/state/emergency", 0) <= 1  # shown, not stopped again by us


def test_a_reset_needs_its_right_and_a_reason(api: Any, robots: Any) -> None:
    robots()
    press(api("bob"))
    assert api("alice").post("/api/v1/robots/oht-01/stop/reset/", {"reason": "clear"}, format="json").status_code == 403
    refused = api("erin").post("/api/v1/robots/oht-01/stop/reset/", {}, format="json")
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["reason"])
    assert RobotState.objects.get().stop_latched


def test_a_reset_lifts_the_latch_when_the_robot_stays_out_and_restarts_no_motion(api: Any, robots: Any) -> None:
    _, simulator = robots()
    api("alice").send("oht-01", "move", {"target_m": 90}, wait_s=8)
    press(api("bob"))
    answer = api("erin").post("/api/v1/robots/oht-01/stop/reset/", {"reason": "track is clear"}, format="json")
    assert answer.json()["status"] == "confirmed"
    document = state_of(api("bob"))
    assert (document["stop"]["latched"], document["stop"]["status"]) == (False, None)
    assert document["machine_state"]["value"] == "idle"
    assert simulator.truth()["speed_mps"] == 0
    assert verbs("reset.") == ["reset.requested", "reset.confirmed"]


def test_a_hardware_stop_falls_back_and_the_reset_is_not_believed(api: Any, robots: Any) -> None:
    robot, simulator = robots(dialect="observed")
    simulator.press_estop()
    until(lambda: look(robot).readings["machine_state"][0] == "estopped")
    press(api("bob"))
    answer = api("erin").post("/api/v1/robots/oht-01/stop/reset/", {"reason": "try"}, format="json").json()
    assert (answer["status"], answer["code"]) == ("failed", "not_obeyed")
    assert RobotState.objects.get().stop_latched


def test_a_robot_that_is_not_stopped_has_nothing_to_reset(api: Any, robots: Any) -> None:
    robots()
    answer = api("erin").post("/api/v1/robots/oht-01/stop/reset/", {"reason": "try"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_stopped")


def test_fifty_robots_are_stopped_in_parallel(robots: Any) -> None:
    made = [robots(f"oht-{number:02}", read=False) for number in range(1, 51)]
    results = stop.stop_robots([robot for robot, _ in made], by="bob")
    assert {result.status for result in results} == {"confirmed"}
    assert {simulator.truth()["state"] for _, simulator in made} == {"ESTOP"}
    until(lambda: RobotState.objects.filter(stop_status="confirmed").count() == 50)


@pytest.mark.parametrize(
    "body", [b"{broken", b"[" * 100_000, b'{"a":' * 5_000, b'{"reason": 7}', b"\xff\xfe", b" " * 300_000]
)
def test_no_body_whatever_keeps_a_robot_moving(api: Any, robots: Any, body: bytes) -> None:
    robots()
    answer = api("bob").post("/api/v1/robots/oht-01/stop/", body, content_type="application/json")
    assert answer.json()["results"][0]["status"] == "confirmed"
    assert RobotState.objects.get().stop_latched


@pytest.mark.parametrize("path", ["/api/v1/stop", "/api/v1/robots/oht-01/stop"])
def test_a_stop_without_the_slash_is_no_redirect(api: Any, robots: Any, path: str) -> None:
    robots()
    assert api("bob").post(path, {}, format="json").json()["results"][0]["status"] == "confirmed"


@pytest.mark.parametrize("reason", ["\\ud800 door open", "\\u0000", "\\u001b[31m"])
def test_a_reason_that_no_database_takes_does_not_cost_the_latch(api: Any, robots: Any, reason: str) -> None:
    robots()
    body = b'{"reason": "' + reason.encode().replace(b"\\\\", b"\\") + b'"}'
    answer = api("bob").post("/api/v1/robots/oht-01/stop/", body, content_type="application/json")
    assert answer.json()["results"][0]["status"] == "confirmed"
    assert RobotState.objects.get().stop_latched
    assert "stop.requested" in verbs("stop.")


def test_a_stop_pressed_during_a_reset_is_not_undone_by_it(api: Any, robots: Any) -> None:
    import threading

    from django.db import connections

    robots_, simulator = robots()
    press(api("bob"))
    answers: list[dict[str, Any]] = []
    erin, bob = api("erin"), api("bob")

    def reset() -> None:
        answers.append(erin.post("/api/v1/robots/oht-01/stop/reset/", {"reason": "clear"}, format="json").json())
        connections.close_all()

    thread = threading.Thread(target=reset)
    thread.start()
    until(lambda: simulator.truth()["state"] == "IDLE")
    simulator.fault("disobey")
    assert press(bob)["status"] == "sent"
    thread.join()
    assert (answers[0]["status"], answers[0]["code"]) == ("failed", "stopped_again")
    row = RobotState.objects.get(robot=robots_)
    assert (row.stop_latched, row.stop_status) == (True, "sent")


def test_a_robot_just_told_to_stop_gets_no_motion_although_the_latch_is_not_written_yet(api: Any, robots: Any) -> None:
    from firmware import stopping

    _, simulator = robots()
    stopping.begin(["oht-01"])
    try:
        refused = api("alice").send("oht-01", "move", {"target_m": 20})
        assert (refused.status_code, refused.json()["code"]) == (409, "stop_latched")
        assert "POST /api/v1/motion/segment/start" not in simulator.truth()["by_path"]
    finally:
        stopping.committed(["oht-01"])
    assert not stopping.is_pending("oht-01")


def test_a_robot_whose_stop_is_not_confirmed_does_not_leave_service(api: Any, robots: Any) -> None:
    _, simulator = robots()
    simulator.fault("refuse")
    press(api("bob"))
    refused = api("erin").delete("/api/v1/robots/oht-01/")
    assert (refused.status_code, refused.json()["code"]) == (409, "stop_latched")


def test_a_stop_goes_out_while_the_database_is_locked_and_is_written_down_afterwards(people: Any, robots: Any) -> None:
    import sqlite3
    from contextlib import closing

    from django.db import connection

    if connection.vendor != "sqlite":
        pytest.skip("locks SQLite's file; PostgreSQL's lock is held by its own rows")
    robot, simulator = robots()
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        (result,) = stop.stop_robots([robot], by="bob", reason="locked")
        assert time.monotonic() - began < 3.6
        assert simulator.truth()["state"] == "ESTOP"
        assert result.status == "confirmed"
        assert "not written down yet" in result.detail
        other.execute("ROLLBACK")
    until(lambda: RobotState.objects.get().stop_status == "confirmed")
    assert "stop.requested" in verbs("stop.")
