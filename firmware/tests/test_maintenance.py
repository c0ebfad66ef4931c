"""Maintenance: set and ended by a person, with a reason; it takes motion away and leaves stop."""

from typing import Any

import pytest

from accounts.models import JournalEntry
from firmware.models import RobotState, Transition
from robotctl.tests.fixtures import look

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/robots/oht-01/maintenance/"


def test_a_robot_in_maintenance_takes_no_motion_whatever_its_link_does_and_may_be_stopped(
    api: Any, robots: Any
) -> None:
    robot, simulator = robots()
    answer = api("erin").post(URL, {"on": True, "reason": "belt change"}, format="json")
    assert (answer.status_code, answer.json()["mode"]) == (200, "maintenance")
    look(robot)
    assert api("bob").get("/api/v1/robots/oht-01/state/").json()["mode"] == "maintenance"
    refused = api("alice").send("oht-01", "move", {"target_m": 20})
    assert (refused.status_code, refused.json()["code"]) == (409, "mode_forbids")
    result = api("bob").post("/api/v1/robots/oht-01/stop/", {}, format="json").json()["results"][0]
    assert result["status"] == "confirmed" and simulator.truth()["state"] == "ESTOP"
    entry = JournalEntry.objects.get(verb="robot.maintenance")
    assert (entry.reason, entry.data["was"]) == ("belt change", "online")


def test_it_comes_back_by_steps(api: Any, robots: Any) -> None:
    robot, _ = robots()
    for on in (True, True, False):
        answer = api("erin").post(URL, {"on": on, "reason": "belt change"}, format="json")
    assert answer.json()["mode"] == "recovering"
    assert api("alice").send("oht-01", "move", {"target_m": 20}).status_code == 409
    assert look(robot).recorded_mode == "online"
    assert list(Transition.objects.order_by("pk").values_list("new", flat=True))[-3:] == [
        "maintenance",
        "recovering",
        "online",
    ]


def test_it_needs_a_right_and_a_reason(api: Any, robots: Any) -> None:
    robots()
    for name, status in ((None, 401), ("charlie", 404), ("bob", 403), ("alice", 403)):
        assert api(name).post(URL, {"on": True, "reason": "x"}, format="json").status_code == status
    assert list(api("erin").post(URL, {}, format="json").json()["errors"]) == ["on", "reason"]
    assert RobotState.objects.get().recorded_mode == "online"
