"""Ending doubt: taking back what was not sent, and saying what came of what nobody knew."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import JournalEntry, User
from firmware import threads
from firmware.models import Command, Robot
from robotctl.tests.fixtures import until

pytestmark = pytest.mark.django_db(transaction=True)


def a_command(robot: Robot, people: dict[str, User], status: str, **more: Any) -> Command:
    times = {"deadline_at": timezone.now() + timedelta(seconds=10)}
    return Command.objects.create(
        robot=robot,
        name="move",
        kind="motion",
        params={"target_m": 12},
        status=status,
        requested_by=people["alice"],
        **times | more,
    )


def test_what_was_not_sent_is_taken_back(api: Any, robots: Any, people: Any) -> None:
    robot, _ = robots()
    command = a_command(robot, people, "awaiting_approval")
    answer = api("alice").post(f"/api/v1/commands/{command.pk}/cancel/", {"reason": "wrong robot"}, format="json")
    assert (answer.status_code, answer.json()["status"], answer.json()["detail"]) == (200, "cancelled", "wrong robot")
    assert answer.json()["ended_at"] and answer.json()["sent_at"] is None
    assert JournalEntry.objects.get(verb="command.cancelled").data["command"] == command.pk
    again = api("alice").post(f"/api/v1/commands/{command.pk}/cancel/", {}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "already_sent")


@pytest.mark.parametrize("status", ["sending", "acknowledged", "confirmed", "outcome_unknown"])
def test_what_a_robot_has_been_told_cannot_be_taken_back(status: str, api: Any, robots: Any, people: Any) -> None:
    robot, _ = robots()
    command = a_command(robot, people, status)
    answer = api("alice").post(f"/api/v1/commands/{command.pk}/cancel/", {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "already_sent")
    command.refresh_from_db()
    assert command.status == status


def test_a_person_says_once_what_came_of_an_unknown_outcome(api: Any, robots: Any, people: Any) -> None:
    robot, _ = robots()
    command = a_command(robot, people, "outcome_unknown", ended_at=timezone.now())
    url = f"/api/v1/commands/{command.pk}/resolve/"
    assert list(api("alice").post(url, {}, format="json").json()["errors"]) == ["note"]
    told = api("alice").post(url, {"note": "it stands at 12 m"}, format="json").json()
    assert (told["status"], told["resolved"]["by"], told["resolved"]["note"]) == (
        "outcome_unknown",
        "alice",
        "it stands at 12 m",
    )
    entry = JournalEntry.objects.get(verb="command.resolved")
    assert (entry.data["note"], entry.robot) == ("it stands at 12 m", "oht-01")
    again = api("alice").post(url, {"note": "no, at 13"}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "not_unknown")


@pytest.mark.parametrize("verb", ["cancel", "resolve"])
def test_may_the_stranger(verb: str, api: Any, robots: Any, people: Any) -> None:
    robot, _ = robots()
    command = a_command(robot, people, "awaiting_approval" if verb == "cancel" else "outcome_unknown")
    for name, status in ((None, 401), ("charlie", 404), ("bob", 403)):
        answer = api(name).post(f"/api/v1/commands/{command.pk}/{verb}/", {"note": "x"}, format="json")
        assert answer.status_code == status
    denied = JournalEntry.objects.get(verb="access.denied")
    assert denied.actor_id == people["bob"].pk
    assert api("alice").post(f"/api/v1/commands/99999/{verb}/", {"note": "x"}, format="json").status_code == 404


def test_a_late_reply_and_a_state_that_shows_it_end_the_doubt(api: Any, robots: Any) -> None:
    _, simulator = robots()
    simulator.fault("hang", path="/api/v1/motion/segment/start", count=1)
    row = api("alice").send("oht-01", "move", {"target_m": 40}, wait_s=8).json()
    assert (row["status"], row["resolved"]) == ("outcome_unknown", None)
    simulator.clear()
    until(lambda: Command.objects.get().resolved_at)
    command = Command.objects.get()
    assert (command.status, command.code) == ("confirmed", None)
    assert "answered late" in command.detail and simulator.truth()["state"] == "MOVE"
    verbs = list(JournalEntry.objects.filter(verb__startswith="command.").order_by("pk").values_list("verb", flat=True))
    assert verbs[-2:] == ["command.answered_late", "command.confirmed"]


def test_a_late_reply_is_not_credited_with_what_a_later_order_did(api: Any, robots: Any, people: Any) -> None:
    robot, simulator = robots()
    simulator.fault("hang", path="/api/v1/motion/segment/start", count=1)
    assert api("alice").send("oht-01", "move", {"target_m": 40}, wait_s=8).json()["status"] == "outcome_unknown"
    a_command(robot, people, "confirmed", sent_at=timezone.now(), ended_at=timezone.now())
    simulator.clear()
    until(lambda: Command.objects.earliest("pk").answered_at)
    assert threads.settle(20)
    assert Command.objects.earliest("pk").status == "outcome_unknown"


def test_a_robot_whose_stop_cannot_be_confirmed_is_retired_with_a_reason_only(api: Any, robots: Any) -> None:
    robot, simulator = robots()
    simulator.fault("refuse")
    api("bob").post("/api/v1/robots/oht-01/stop/", {}, format="json")
    refused = api("erin").delete("/api/v1/robots/oht-01/")
    assert (refused.status_code, refused.json()["code"]) == (409, "stop_latched")
    assert "with a reason" in refused.json()["detail"]
    answer = api("erin").delete("/api/v1/robots/oht-01/", {"reason": "scrapped, power is off"}, format="json")
    assert answer.status_code == 204
    assert Robot.objects.get(pk=robot.pk).retired_at is not None
    assert JournalEntry.objects.get(verb="robot.retired").reason != ""
    entry = JournalEntry.objects.get(verb="stop.ended_unconfirmed")
    assert (entry.reason, entry.outcome, entry.robot) == ("scrapped, power is off", "unknown", "oht-01")
