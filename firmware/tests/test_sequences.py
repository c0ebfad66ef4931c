"""A sequence sends each command when the one before it is done, and ends at the first that is not."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import JournalEntry, User
from firmware import sequences
from firmware.models import Command, RobotState, Sequence
from robotctl.tests.fixtures import look, until

pytestmark = pytest.mark.django_db(transaction=True)
TWO = [{"name": "move", "params": {"target_m": 10.3}}, {"name": "move", "params": {"target_m": 10.1}}]


def ask(api: Any, steps: Any = TWO, who: str | None = "alice", *, key: str = "one", **more: Any) -> Any:
    url = "/api/v1/robots/oht-01/sequences/"
    return api(who).post(url, {"steps": steps, **more}, format="json", headers={"Idempotency-Key": key})


def ended(number: int, timeout_s: float = 15) -> Sequence:
    until(
        lambda: Sequence.objects.get(pk=number).ended_at,
        timeout_s=timeout_s,
        tell=lambda: list(Command.objects.values()),
    )
    return Sequence.objects.get(pk=number)


def verbs(*, of: str = "sequence.") -> list[str]:
    return list(JournalEntry.objects.filter(verb__startswith=of).order_by("pk").values_list("verb", flat=True))


def test_each_step_is_sent_when_the_one_before_it_is_done(api: Any, robots: Any, polling: Any) -> None:
    _, simulator = robots()
    polling()
    answer = ask(api, reason="calibration")
    assert (answer.status_code, answer.json()["status"], answer.json()["step"]) == (201, "running", 0)
    made = ended(answer.json()["id"])
    assert (made.status, made.code, made.detail) == ("done", None, "All 2 steps are done.")
    first, second = Command.objects.order_by("pk")
    assert first.done_at is not None and second.created_at >= first.done_at
    assert (first.step, second.step, second.reason) == (0, 1, "calibration")
    assert first.request_id == second.request_id == made.request_id
    assert simulator.truth()["position_m"] == pytest.approx(10.1)
    assert simulator.truth()["by_path"]["POST /api/v1/motion/segment/start"] == 2
    assert verbs() == ["sequence.started", "sequence.done"]
    second_row = JournalEntry.objects.get(verb="command.accepted", data__command=second.pk)
    assert second_row.actor_id == made.requested_by_id
    assert RobotState.objects.get().sequence is None
    shown = api("bob").get(f"/api/v1/sequences/{made.pk}/").json()
    assert [step["status"] for step in shown["steps"]] == ["confirmed", "confirmed"]


def test_everybody_sees_what_runs(api: Any, robots: Any) -> None:
    robots()
    number = ask(api).json()["id"]
    told = api("bob").get("/api/v1/robots/oht-01/state/").json()["sequence"]
    assert (told["id"], told["by"], told["step"], len(told["steps"])) == (number, "alice", 0, 2)
    assert api("alice").post(f"/api/v1/sequences/{number}/cancel/").status_code == 200
    assert api("bob").get("/api/v1/robots/oht-01/state/").json()["sequence"] is None


def test_the_first_step_that_is_not_confirmed_ends_it(api: Any, robots: Any, polling: Any) -> None:
    _, simulator = robots()
    simulator.fault("deny", path="/api/v1/motion/segment/start")
    polling()
    made = ended(ask(api).json()["id"])
    assert (made.status, made.code) == ("failed", "not_allowed")
    assert made.detail.startswith("Step 1 of 2 (move): it came to rejected.")
    assert Command.objects.count() == 1
    assert JournalEntry.objects.get(verb="sequence.failed").outcome == "failed"


def test_a_reply_that_never_comes_ends_it_and_nothing_is_sent_again(api: Any, robots: Any, polling: Any) -> None:
    _, simulator = robots()
    simulator.fault("no_reply_once", path="/api/v1/motion/segment/start")
    polling()
    made = ended(ask(api).json()["id"])
    assert (made.status, Command.objects.get().status) == ("failed", "outcome_unknown")
    assert simulator.truth()["by_path"]["POST /api/v1/motion/segment/start"] == 1


def _stop(api: Any, _: Any) -> None:
    api("bob").post("/api/v1/robots/oht-01/stop/")


def _halt(api: Any, _: Any) -> None:
    api("alice").send("oht-01", "halt", wait_s=5)


def _break(api: Any, _: Any) -> None:
    api("erin").post("/api/v1/robots/oht-01/lease/break/", {"reason": "mine"}, format="json")


def _release(api: Any, _: Any) -> None:
    api("alice").delete("/api/v1/robots/oht-01/lease/")


def _maintain(api: Any, _: Any) -> None:
    api("erin").post("/api/v1/robots/oht-01/maintenance/", {"on": True, "reason": "belt"}, format="json")


def _restart(_: Any, simulator: Any) -> None:
    simulator.restart()


@pytest.mark.parametrize(("what", "code"), [
    (_stop, "stop_latched"), (_halt, "superseded"), (_break, "lease_lost"), (_release, "lease_lost"),
    (_maintain, "mode_forbids"), (_restart, "restarted"),
], ids=lambda one: getattr(one, "__name__", one))  # fmt: skip
def test_whatever_comes_between_ends_it(what: Any, code: str, api: Any, robots: Any, polling: Any) -> None:
    _, simulator = robots()
    polling()
    number = ask(api, [{"name": "move", "params": {"target_m": 40}}, TWO[1]]).json()["id"]
    until(lambda: Command.objects.get().status == "confirmed")
    what(api, simulator)
    made = ended(number)
    assert (made.status, made.code) == ("failed", code), made.detail
    assert Command.objects.filter(sequence=made).count() == 1


def test_a_right_that_was_withdrawn_meanwhile_ends_it(api: Any, robots: Any, polling: Any) -> None:
    robots()
    number = ask(api).json()["id"]
    User.objects.filter(username="alice").update(role="viewer")
    polling()
    made = ended(number)
    assert (made.status, made.code) == ("failed", "permission_denied")
    assert Command.objects.count() == 1


def test_a_step_that_is_not_done_in_time_ends_it(api: Any, robots: Any, polling: Any) -> None:
    robots()
    polling()
    made = ended(ask(api, [{"name": "move", "params": {"target_m": 60}}, TWO[0]], step_within_s=1).json()["id"])
    assert (made.status, made.code) == ("failed", "not_done")


def test_a_robot_does_not_go_on_after_a_time_in_which_nobody_looked(api: Any, robots: Any) -> None:
    robot, _ = robots()
    number = ask(api).json()["id"]
    until(lambda: Command.objects.get().status == "confirmed")
    until(lambda: look(robot) and Command.objects.get().done_at)
    Sequence.objects.update(watched_until=timezone.now() - timedelta(seconds=0.1))
    sequences.go_on([robot.pk])
    assert (ended(number).code, Command.objects.count()) == ("not_watched", 1)


def test_of_two_processes_that_look_at_once_one_sends_the_next_step(api: Any, robots: Any) -> None:
    from firmware import threads

    robot, simulator = robots()
    ask(api)
    until(lambda: Command.objects.get().status == "confirmed")
    until(lambda: look(robot) and Command.objects.get().done_at)
    time.sleep(0.2)
    look(robot)  # and still is, which is what is gone on with
    for future in [threads.start(threads.commands, sequences.go_on, [robot.pk]) for _ in range(8)]:
        future.result(10)
    until(lambda: Command.objects.filter(ended_at=None).count() == 0)
    assert Command.objects.count() == 2
    assert simulator.truth()["by_path"]["POST /api/v1/motion/segment/start"] == 2


def test_control_is_kept_while_it_runs(api: Any, robots: Any, polling: Any) -> None:
    robots()
    ask(api, [{"name": "move", "params": {"target_m": 40}}, TWO[0]])
    soon = timezone.now() + timedelta(seconds=20)
    RobotState.objects.update(lease_until=soon)
    Sequence.objects.update(watched_until=timezone.now() + timedelta(seconds=4))
    polling()
    until(lambda: (RobotState.objects.get().lease_until or soon) > soon + timedelta(seconds=60))
    assert Sequence.objects.get().watched_until > timezone.now() + timedelta(seconds=8)


@pytest.mark.parametrize(("steps", "field"), [
    ([], "steps"),
    ([{"name": "move", "params": {}}], "steps.0.params.target_m"),
    ([TWO[0], {"name": "fly"}], "steps.1.name"),
    ([TWO[0], {"name": "jog", "params": {"speed_mps": 0.2}}], "steps.1.name"),
    ([{"name": "register_write", "params": {"module": "2", "register": "0x1", "raw": 1}}, TWO[0]], "steps.0.name"),
    ("move", "steps"),
    ([TWO[0]] * 51, "steps"),
])  # fmt: skip
def test_a_step_that_cannot_be_one_is_refused_before_anything_is_sent(
    steps: Any, field: str, api: Any, robots: Any
) -> None:
    _, simulator = robots()
    answer = ask(api, steps)
    assert answer.status_code == 400
    assert field in answer.json()["errors"], answer.json()
    assert not Sequence.objects.exists() and not Command.objects.exists()
    assert "POST /api/v1/motion/segment/start" not in simulator.truth()["by_path"]


def test_one_at_a_time_and_the_same_key_makes_one(api: Any, robots: Any) -> None:
    robots()
    first = ask(api).json()
    assert (ask(api).status_code, ask(api).json()["id"]) == (200, first["id"])
    assert ask(api, [TWO[1]]).json()["code"] == "duplicate"
    second = ask(api, key="two")
    assert (second.status_code, second.json()["code"]) == (409, "sequence_running")
    assert Command.objects.count() == 1


def test_what_forbids_its_first_command_forbids_it(api: Any, robots: Any) -> None:
    robots()
    api("bob").post("/api/v1/robots/oht-01/stop/")
    answer = ask(api)
    assert (answer.status_code, answer.json()["code"]) == (409, "stop_latched")
    assert not Sequence.objects.exists()
    assert JournalEntry.objects.get(verb="command.refused").target == "sequence"


@pytest.mark.parametrize(("who", "status"), [(None, 401), ("charlie", 404), ("bob", 403)])
def test_who_may_not(who: str | None, status: int, api: Any, robots: Any) -> None:
    robots()
    assert ask(api, who=who).status_code == status
    number = ask(api, key="alice's").json()["id"]
    assert api(who).post(f"/api/v1/sequences/{number}/cancel/").status_code == status
    seen = 200 if who == "bob" else status
    assert api(who).get(f"/api/v1/sequences/{number}/").status_code == seen
    assert api(who).get("/api/v1/robots/oht-01/sequences/").status_code == seen


def test_cancelled_it_sends_nothing_more(api: Any, robots: Any, polling: Any) -> None:
    robots()
    number = ask(api).json()["id"]
    assert api("erin").post(f"/api/v1/sequences/{number}/cancel/", {"reason": "enough"}).json()["status"] == "cancelled"
    polling()
    until(lambda: Command.objects.get().done_at)
    assert Command.objects.count() == 1
    again = api("erin").post(f"/api/v1/sequences/{number}/cancel/")
    assert (again.status_code, again.json()["code"]) == (409, "ended")


def test_a_body_that_is_none_is_refused_and_journalled(api: Any, robots: Any) -> None:
    robots()
    assert ask(api, [1]).status_code == 400
    assert JournalEntry.objects.get(verb="command.refused").data["code"] == "invalid"


def test_a_key_that_is_too_long_is_refused_not_cut(api: Any, robots: Any) -> None:
    robots()
    for answer in (ask(api, key="k" * 201), api("alice").send("oht-01", "move", {"target_m": 10.2}, key="k" * 201)):
        assert answer.status_code == 400 and "Idempotency-Key" in answer.json()["errors"]
    assert not Command.objects.exists()
