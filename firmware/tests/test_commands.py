"""A command is believed only when the robot's own state shows it; everything else is said as it is."""

import threading
from typing import Any

import pytest

from accounts.models import JournalEntry
from firmware import threads
from firmware.models import Command, Robot
from robotctl.tests.fixtures import look, until

pytestmark = pytest.mark.django_db(transaction=True)


def verbs(robot: str = "oht-01") -> list[str]:
    return list(JournalEntry.objects.filter(robot=robot).order_by("pk").values_list("verb", flat=True))


def test_a_move_is_confirmed_by_the_robots_own_state_and_done_when_it_arrives(
    api: Any, robots: Any, polling: Any
) -> None:
    _, simulator = robots()
    answer = api("alice").send("oht-01", "move", {"target_m": 10.4}, wait_s=8)
    assert answer.status_code == 201
    row = answer.json()
    assert (row["status"], row["code"], row["attempts"]) == ("confirmed", None, 1)
    assert row["sent_at"] <= row["answered_at"] <= row["ended_at"]
    assert simulator.truth()["target_m"] == 10.4
    state = api("alice").get("/api/v1/robots/oht-01/state/").json()
    assert state["machine_state"]["value"] in ("moving", "idle")  # when a command answers, state/ already shows it
    assert state["readings"]["target_m"]["value"] == 10.4
    polling()
    done = until(lambda: Command.objects.get(pk=row["id"]).done_at)
    assert done is not None
    assert simulator.truth()["position_m"] == pytest.approx(10.4)
    assert [verb for verb in verbs() if verb.startswith("command")] == [
        "command.accepted", "command.acknowledged", "command.confirmed", "command.done",
    ]  # fmt: skip


def test_a_robot_that_says_yes_and_does_nothing_is_not_obeying(api: Any, robots: Any) -> None:
    robots(dialect="observed")
    row = api("alice").send("oht-01", "move", {"target_m": 40}, wait_s=8).json()
    assert (row["status"], row["code"]) == ("failed", "not_obeyed")


def test_a_command_without_reply_has_an_unknown_outcome_and_is_never_sent_again(api: Any, robots: Any) -> None:
    _, simulator = robots()
    simulator.fault("no_reply_once", path="/api/v1/motion/segment/start")
    row = api("alice").send("oht-01", "move", {"target_m": 40}, wait_s=8).json()
    assert (row["status"], row["code"]) == ("outcome_unknown", "no_reply")
    assert simulator.truth()["by_path"]["POST /api/v1/motion/segment/start"] == 1


def test_a_command_to_a_robot_that_has_just_died_fails_as_unreachable(api: Any, robots: Any) -> None:
    _, simulator = robots()
    simulator.fault("refuse")
    row = api("alice").send("oht-01", "move", {"target_m": 40}, wait_s=8).json()
    assert (row["status"], row["code"], row["sent_at"], row["attempts"]) == ("failed", "unreachable", None, 0)


@pytest.mark.parametrize(("fault", "status", "code"), [
    ("error", "rejected", "rejected"),
    ("deny", "rejected", "not_allowed"),
    ("garbage", "outcome_unknown", "bad_reply"),
    ("html", "outcome_unknown", "bad_reply"),
    ("oversize", "outcome_unknown", "bad_reply"),
    ("cut", "outcome_unknown", "bad_reply"),
    ("reset_by_peer", "outcome_unknown", "no_reply"),
])  # fmt: skip
def test_each_sort_of_bad_reply_has_its_own_code(api: Any, robots: Any, fault: str, status: str, code: str) -> None:
    _, simulator = robots()
    simulator.fault(fault, path="/api/v1/motion/segment/start")
    row = api("alice").send("oht-01", "move", {"target_m": 40}, wait_s=12).json()
    if row["status"] == "confirmed":  # the reply was bad, but the robot moves: its own state counts
        assert simulator.truth()["state"] == "MOVE"
    else:
        assert (row["status"], row["code"]) == (status, code)
    assert f"command.{row['status']}" in verbs()


@pytest.mark.parametrize(("name", "params", "code", "field"), [
    ("fly", {}, "unknown_command", "name"),
    ("move", {}, "invalid", "params.target_m"),
    ("move", {"target_m": 100.5}, "invalid", "params.target_m"),
    ("move", {"target_m": "40"}, "invalid", "params.target_m"),
    ("move", {"target_m": True}, "invalid", "params.target_m"),
    ("move", {"target_m": 40, "colour": "red"}, "invalid", "params.colour"),
    ("move", [], "invalid", "params"),
])  # fmt: skip
def test_bad_input_is_refused_in_the_fields_own_words_and_journalled_without_a_row(
    api: Any, robots: Any, name: str, params: Any, code: str, field: str
) -> None:
    robots()
    answer = api("alice").send("oht-01", name, params)
    assert answer.status_code == 400
    assert answer["Content-Type"].startswith("application/problem+json")
    assert answer.json()["code"] == code
    assert field in answer.json()["errors"]
    assert not Command.objects.exists()
    assert "command.refused" in verbs()


def test_a_body_that_is_not_json_is_a_problem_not_a_crash(api: Any, robots: Any) -> None:
    robots()
    answer = api("alice").post("/api/v1/robots/oht-01/commands/", "{broken", content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "parse_error"
    assert "command.refused" in verbs()


@pytest.mark.parametrize(
    "body", [[], "x", {"name": ["move"]}, {"name": "move", "params": {}, "wait_s": 31}, {"name": "jump"}]
)
def test_a_refusal_is_journalled_in_the_words_that_its_sender_gets(body: Any, api: Any, robots: Any) -> None:
    robots()
    answer = api("alice").post("/api/v1/robots/oht-01/commands/", body, format="json", headers={"Idempotency-Key": "k"})
    assert answer.status_code == 400
    told = JournalEntry.objects.get(verb="command.refused").data
    assert (told["code"], told["detail"]) == (answer.json()["code"], answer.json()["detail"])
    assert "ErrorDetail" not in str(told)


def test_a_denied_command_names_its_robot_in_the_journal(api: Any, robots: Any) -> None:
    robots()
    assert api("bob").send("oht-01", "move", {"target_m": 20}).status_code == 403
    assert JournalEntry.objects.get(verb="access.denied").robot == "oht-01"
    assert api("bob").send("no-such", "move", {"target_m": 20}).status_code == 404
    assert not JournalEntry.objects.filter(robot="no-such").exists()


def test_a_disabled_robot_takes_no_commands_and_says_so(api: Any, robots: Any) -> None:
    robots()
    Robot.objects.update(enabled=False)
    answer = api("alice").send("oht-01", "move", {"target_m": 40})
    assert (answer.status_code, answer.json()["code"]) == (409, "robot_disabled")


def test_a_robot_that_was_never_seen_takes_no_motion(api: Any, robots: Any) -> None:
    robots(read=False)
    answer = api("alice").send("oht-01", "move", {"target_m": 40})
    assert (answer.status_code, answer.json()["code"]) == (409, "mode_forbids")


def test_the_machine_state_decides_what_is_allowed(api: Any, robots: Any) -> None:
    robots()
    answer = api("alice").send("oht-01", "halt")
    assert (answer.status_code, answer.json()["code"]) == (409, "state_forbids")


def test_the_same_key_and_body_is_the_same_command_and_another_body_is_refused(api: Any, robots: Any) -> None:
    robots()
    alice = api("alice")
    first = alice.send("oht-01", "move", {"target_m": 40}, key="k-1", wait_s=8)
    again = alice.send("oht-01", "move", {"target_m": 40}, key="k-1", wait_s=8)
    other = alice.send("oht-01", "move", {"target_m": 41}, key="k-1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert (other.status_code, other.json()["code"]) == (409, "duplicate")


def test_two_at_once_with_the_same_key_make_one_command(api: Any, robots: Any) -> None:
    _, simulator = robots()
    clients = [api("alice") for _ in range(4)]
    answers: list[int] = []

    def send(client: Any) -> None:
        from django.db import connections

        answers.append(client.send("oht-01", "move", {"target_m": 40}, key="k-2", wait_s=8).status_code)
        connections.close_all()

    threads = [threading.Thread(target=send, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 200, 200, 201]
    assert simulator.truth()["by_path"]["POST /api/v1/motion/segment/start"] == 1


def test_an_api_token_needs_an_idempotency_key(api: Any, robots: Any) -> None:
    robots()
    answer = api("alice").post("/api/v1/robots/oht-01/commands/", {"name": "halt"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")


def test_a_command_past_its_deadline_expires_unsent(api: Any, robots: Any, people: Any) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from firmware import execution

    robot, simulator = robots()
    long_ago = timezone.now() - timedelta(seconds=30)
    command = Command.objects.create(
        robot=robot,
        name="move",
        kind="motion",
        params={"target_m": 40.0},
        requested_by=people["alice"],
        deadline_at=long_ago,
    )
    execution.run(command.pk)
    command.refresh_from_db()
    assert (command.status, command.sent_at) == ("expired", None)
    assert "POST /api/v1/motion/segment/start" not in simulator.truth()["by_path"]


def test_a_stop_between_acceptance_and_the_wire_cancels_the_command(api: Any, robots: Any, people: Any) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from firmware import execution
    from firmware.models import RobotState

    robot, simulator = robots()
    soon = timezone.now() + timedelta(seconds=30)
    command = Command.objects.create(
        robot=robot,
        name="move",
        kind="motion",
        params={"target_m": 40.0},
        requested_by=people["alice"],
        deadline_at=soon,
    )
    RobotState.objects.update(stop_latched=True)
    execution.run(command.pk)
    command.refresh_from_db()
    assert (command.status, command.code) == ("cancelled", "stop_latched")
    assert "POST /api/v1/motion/segment/start" not in simulator.truth()["by_path"]


def test_halt_stops_a_moving_robot_in_a_controlled_way(api: Any, robots: Any) -> None:
    robot, simulator = robots()
    assert (
        api("alice").send("oht-01", "move", {"target_m": 90, "speed_mps": 0.3}, wait_s=8).json()["status"]
        == "confirmed"
    )
    assert api("alice").send("oht-01", "halt", wait_s=10).json()["status"] == "confirmed"
    assert simulator.truth()["state"] == "IDLE"
    assert look(robot).readings["machine_state"][0] == "idle"


def test_the_list_is_newest_first_and_filtered_by_field(api: Any, robots: Any) -> None:
    robots()
    api("alice").send("oht-01", "move", {"target_m": 10.1}, wait_s=8)
    listed = api("bob").get("/api/v1/robots/oht-01/commands/?status=confirmed&page_size=1").json()
    assert listed["count"] == 1
    assert api("bob").get("/api/v1/robots/oht-01/commands/?status=failed").json()["count"] == 0


def test_a_late_reply_ends_the_waiting_but_not_the_doubt(api: Any, robots: Any) -> None:
    _, simulator = robots()
    simulator.fault("disobey")
    simulator.fault("hang", path="/api/v1/motion/segment/start", count=1)
    row = api("alice").send("oht-01", "move", {"target_m": 40}, wait_s=8).json()
    assert (row["status"], row["answered_at"]) == ("outcome_unknown", None)
    simulator.clear("hang")
    until(lambda: Command.objects.get().answered_at)
    assert threads.settle(20)  # its state was looked at meanwhile, and shows nothing
    assert Command.objects.get().status == "outcome_unknown"
    assert "command.answered_late" in verbs()


def test_a_move_that_was_interrupted_never_arrives_by_a_later_one(api: Any, robots: Any, polling: Any) -> None:
    robots()
    alice = api("alice")
    first = alice.send("oht-01", "move", {"target_m": 10.6, "speed_mps": 0.2}, wait_s=8).json()
    api("bob").post("/api/v1/robots/oht-01/stop/", {}, format="json")
    assert (
        api("erin").post("/api/v1/robots/oht-01/stop/reset/", {"reason": "x"}, format="json").json()["status"]
        == "confirmed"
    )
    until(lambda: alice.get("/api/v1/robots/oht-01/state/").json()["commands"]["move"]["allowed"])
    second = alice.send("oht-01", "move", {"target_m": 10.6}, wait_s=8).json()
    polling()
    until(lambda: Command.objects.get(pk=second["id"]).done_at)
    assert Command.objects.get(pk=first["id"]).done_at is None


def test_a_command_whose_process_went_away_is_ended_by_the_poll_process(api: Any, robots: Any, people: Any) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from firmware import reconciliation

    robot, _ = robots()
    ago = timezone.now() - timedelta(minutes=2)
    common = {"robot": robot, "name": "move", "kind": "motion", "params": {}, "deadline_at": ago}
    sending = Command.objects.create(**common, status="sending", sent_at=ago)
    accepted = Command.objects.create(**common, status="accepted")
    reconciliation.take_over([robot.pk])
    sending.refresh_from_db()
    accepted.refresh_from_db()
    assert (sending.status, sending.code) == ("outcome_unknown", "abandoned")
    assert accepted.status == "expired"


@pytest.mark.parametrize(
    "params", [b'{"target_m": "\\ud800"}', b'{"\\ud800": 1}', b'{"target_m": "\\u0000"}', b"[" * 900 + b"]" * 900]
)
def test_words_that_no_frame_can_carry_are_refused_and_poison_nothing(api: Any, robots: Any, params: bytes) -> None:
    robots()
    body = b'{"name": "move", "params": ' + params + b"}"
    alice = api("alice")
    answer = alice.post(
        "/api/v1/robots/oht-01/commands/", body, content_type="application/json", headers={"Idempotency-Key": "k"}
    )
    assert answer.status_code == 400
    listed = api("otto").get("/api/v1/journal/?page_size=1000")
    assert listed.status_code == 200
    listed.content.decode()


def test_another_profile_harms_neither_the_robot_nor_the_others(api: Any, robots: Any, polling: Any) -> None:
    robots("oht-01")
    robots("oht-02")
    loop = polling()
    until(lambda: len(loop.schedules) == 2)
    assert api("erin").patch("/api/v1/robots/oht-01/", {"profile": "octoprint"}, format="json").status_code == 200
    until(lambda: loop.schedules[Robot.objects.get(slug="oht-01").pk].robot.profile == "octoprint")
    assert not loop.failed
    assert api("bob").get("/api/v1/robots/oht-01/state/").status_code == 200
    assert api("bob").get("/api/v1/robots/oht-02/state/").json()["mode"] == "online"
