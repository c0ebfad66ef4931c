"""One hand on the wheel: who may move a robot, as the API tells it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts import journal, permissions
from accounts.models import JournalEntry, Role, User
from firmware import control, execution
from firmware.models import Command, Robot, RobotState
from robotctl.tests.fixtures import look, until
from robotctl.tests.system import register
from robotctl.tests.told import number_of

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/robots/oht-01/lease/"
FREE = {"holder": None, "since": None, "until": None}


@pytest.fixture
def dave(people: Any) -> User:
    """A second operator."""
    made: User = User.objects.create(username="dave", role_id="operator")
    people["dave"] = made
    return made


def verbs() -> list[str]:
    return list(JournalEntry.objects.filter(verb__startswith="lease.").order_by("pk").values_list("verb", flat=True))


def verdicts(client: Any) -> dict[str, str | None]:
    commands = client.get("/api/v1/robots/oht-01/state/").json()["commands"]
    return {name: verdict["code"] for name, verdict in commands.items()}


def test_the_first_motion_command_takes_a_free_lease_and_everybody_sees_it(api: Any, robots: Any, dave: User) -> None:
    robot, simulator = robots()
    assert api("bob").get(URL).json() == FREE
    assert api("alice").send("oht-01", "move", {"target_m": 12}, wait_s=8).status_code == 201
    told = api("bob").get(URL).json()
    assert told["holder"] == "alice" and told["since"] < told["until"]
    assert api("bob").get("/api/v1/robots/oht-01/state/").json()["lease"] == told

    until(lambda: simulator.truth()["state"] == "IDLE")
    look(robot)
    refused = api("dave").send("oht-01", "move", {"target_m": 20})
    assert (refused.status_code, refused.json()["code"]) == (409, "lease_held")
    assert "alice holds control since" in refused.json()["detail"]
    assert Command.objects.count() == 1
    assert JournalEntry.objects.filter(verb="command.refused", data__code="lease_held").count() == 1


def test_what_another_may_not_do_now_is_said_before_it_is_tried(api: Any, robots: Any, dave: User) -> None:
    robots()
    assert api("alice").post(URL).json()["holder"] == "alice"
    assert verdicts(api("alice"))["move"] is None
    assert verdicts(api("dave"))["move"] == "lease_held"
    assert verdicts(api("bob"))["move"] == "permission_denied"


@pytest.mark.parametrize("change", [{"role_id": "viewer"}, {"is_active": False}])
def test_a_holder_who_may_command_no_more_keeps_nobody_from_the_wheel(
    api: Any, robots: Any, dave: User, people: dict[str, User], change: dict[str, Any]
) -> None:
    robots()
    alice, dave_s = api("alice"), api("dave")
    assert alice.post(URL).json()["holder"] == "alice"
    assert verdicts(dave_s)["move"] == "lease_held" and dave_s.post(URL).status_code == 409
    User.objects.filter(pk=people["alice"].pk).update(**change)
    assert verdicts(dave_s)["move"] is None
    assert dave_s.send("oht-01", "move", {"target_m": 12}, wait_s=8).status_code == 201
    assert dave_s.get(URL).json()["holder"] == "dave"
    assert verbs()[-2:] == ["lease.ended", "lease.taken"]
    ended = JournalEntry.objects.get(verb="lease.ended")
    assert ended.data["holder"] == journal.who(people["alice"].pk) and "not command" in ended.reason


def test_control_ends_with_the_right_to_it_and_everybody_sees_that(api: Any, robots: Any, dave: User) -> None:
    robots()
    api("alice").post(URL)
    api("ada").patch("/api/v1/users/dave/", {"role": "viewer"}, format="json")
    assert api("bob").get(URL).json()["holder"] == "alice", "somebody else's rights are somebody else's"
    seq = RobotState.objects.get().seq
    api("ada").patch("/api/v1/users/alice/", {"role": "viewer"}, format="json")
    assert api("bob").get(URL).json() == api("bob").get("/api/v1/robots/oht-01/state/").json()["lease"] == FREE
    assert RobotState.objects.get().seq > seq, "open pages are told"
    assert verbs() == ["lease.taken", "lease.ended"]
    assert JournalEntry.objects.get(verb="lease.ended").actor_id == User.objects.get(username="ada").pk


def test_control_ends_with_a_right_that_a_role_loses(api: Any, robots: Any, dave: User) -> None:
    robots()
    api("alice").post(URL)
    api("ada").patch("/api/v1/roles/operator/", {"permissions": ["robot.jog"]}, format="json")
    assert api("bob").get(URL).json() == FREE


def test_control_ends_with_the_shift_that_gave_it(api: Any, robots: Any, people: dict[str, User]) -> None:
    """With no scheduler: the lease itself ends when the last grant of the right does."""
    robots()
    robot, operator = Robot.objects.get(), Role.objects.get(pk="operator")
    ends = timezone.now() + timedelta(seconds=1.5)
    permissions.grant(robot, role=operator, holder=people["bob"], by=None, reason="shift", ends_at=ends)
    permissions.grant(robot, role=operator, holder=people["charlie"], by=None, reason="shift", ends_at=ends)
    assert api("bob").post(URL).json()["until"] == journal.iso(ends)
    until(lambda: api("alice").get(URL).json() == FREE, timeout_s=3)
    permissions.grant(robot, role=operator, holder=people["charlie"], by=None, reason="for good")
    left = datetime.fromisoformat(api("charlie").post(URL).json()["until"]) - timezone.now()
    assert left > timedelta(seconds=100), "a grant without an end outlasts one that has one"


def test_a_token_that_may_not_command_gives_nothing_back(api: Any, robots: Any) -> None:
    robots()
    alice = api("alice")
    alice.post(URL)
    register("oht-02", "http://127.0.0.1:9")
    limited: list[dict[str, Any]] = [{"actions": ["robot.view"]}, {"robots": ["oht-02"]}]
    for limits in limited:
        made = alice.post("/api/v1/auth/tokens/", {"name": "screen", **limits}, format="json").json()
        screen = api(None)
        screen.credentials(HTTP_AUTHORIZATION=f"Token {made['token']}")
        assert screen.delete(URL).status_code in (403, 404)
    assert alice.get(URL).json()["holder"] == "alice"


def test_what_one_holds_is_given_back_without_the_right_to_command(
    api: Any, robots: Any, dave: User, people: dict[str, User]
) -> None:
    robots()
    alice = api("alice")
    alice.post(URL)
    User.objects.filter(pk=people["alice"].pk).update(role_id="viewer")
    assert alice.delete(URL).json() == FREE
    assert alice.delete(URL).status_code == 403


def test_stop_halt_and_reset_ask_for_no_lease(api: Any, robots: Any, dave: User) -> None:
    robots()
    api("alice").send("oht-01", "move", {"target_m": 90}, wait_s=8)
    assert api("dave").send("oht-01", "halt", wait_s=8).json()["status"] == "confirmed"
    result = api("bob").post("/api/v1/robots/oht-01/stop/", {}, format="json").json()["results"][0]
    assert result["status"] == "confirmed"
    answer = api("erin").post("/api/v1/robots/oht-01/stop/reset/", {"reason": "clear"}, format="json")
    assert answer.status_code == 200


def test_its_holder_renews_it_and_gives_it_back_and_nobody_else_does(api: Any, robots: Any, dave: User) -> None:
    robots()
    first = api("alice").post(URL).json()
    again = api("alice").post(URL).json()
    assert again["since"] == first["since"] and again["until"] > first["until"]
    for method in ("post", "delete"):
        answer = getattr(api("dave"), method)(URL)
        assert (answer.status_code, answer.json()["code"]) == (409, "lease_held")
    assert api("alice").delete(URL).json() == FREE
    assert api("alice").delete(URL).json() == FREE
    assert api("dave").post(URL).json()["holder"] == "dave"
    assert verbs() == ["lease.taken", "lease.refused", "lease.refused", "lease.released", "lease.taken"]


def test_it_ends_by_itself_and_every_motion_command_keeps_it(api: Any, robots: Any, dave: User) -> None:
    robots()
    api("alice").post(URL)
    RobotState.objects.update(lease_until=timezone.now() + timedelta(seconds=control.LEASE_S / 4))
    api("alice").send("oht-01", "move", {"target_m": 11}, wait_s=8)
    until = RobotState.objects.get().lease_until
    assert until is not None and until - timezone.now() > timedelta(seconds=control.LEASE_S / 2)
    RobotState.objects.update(lease_until=timezone.now())
    assert api("bob").get(URL).json() == FREE
    assert api("dave").post(URL).json()["holder"] == "dave"


def test_breaking_it_needs_a_right_and_a_reason_and_is_told(api: Any, robots: Any, dave: User) -> None:
    robots()
    nobody = api("erin").post(f"{URL}break/", {"reason": "shift change"}, format="json")
    assert (nobody.status_code, nobody.json()["code"]) == (409, "lease_free")
    api("alice").post(URL)
    assert api("dave").post(f"{URL}break/", {"reason": "mine"}, format="json").status_code == 403
    without = api("erin").post(f"{URL}break/", {}, format="json")
    assert (without.status_code, list(without.json()["errors"])) == (400, ["reason"])
    assert api("erin").post(f"{URL}break/", {"reason": "shift change"}, format="json").json() == FREE
    entry = JournalEntry.objects.get(verb="lease.broken")
    assert (entry.reason, entry.data["holder"], entry.robot) == (
        "shift change",
        {"person": number_of("alice")},
        "oht-01",
    )
    assert api("dave").send("oht-01", "move", {"target_m": 12}, wait_s=8).status_code == 201


def test_may_the_stranger(api: Any, robots: Any) -> None:
    robots()
    for name, seen, changed in ((None, 401, 401), ("charlie", 404, 404), ("bob", 200, 403)):
        assert api(name).get(URL).status_code == seen
        assert api(name).post(URL).status_code == api(name).delete(URL).status_code == changed
        assert api(name).post(f"{URL}break/", {"reason": "x"}, format="json").status_code == changed
    assert RobotState.objects.get().lease_holder == ""


def test_of_many_who_reach_for_it_at_once_one_gets_it(api: Any, robots: Any, dave: User) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connections

    robots()
    clients = [api(name) for name in ("alice", "dave", "erin", "ada") for _ in range(2)]

    def reach(client: Any) -> int:
        try:
            return int(client.send("oht-01", "move", {"target_m": 12}).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(reach, clients))
    holder = RobotState.objects.get().lease_holder
    assert set(Command.objects.values_list("requested_by__username", flat=True)) == {holder}
    assert statuses.count(201) == Command.objects.count() >= 1
    assert verbs().count("lease.taken") == 1


def test_control_that_was_broken_before_the_command_went_out_cancels_it(api: Any, robots: Any, people: Any) -> None:
    """Accepted for alice; erin has control by the time that it would be sent."""
    robot, simulator = robots()
    api("erin").post("/api/v1/robots/oht-01/lease/")
    about = {"kind": "motion", "params": {"target_m": 90.0}, "deadline_at": timezone.now() + timedelta(seconds=10)}
    command = Command.objects.create(robot=robot, name="move", requested_by=people["alice"], **about)
    execution.run(command.pk)
    command.refresh_from_db()
    assert (command.status, command.code) == (
        "cancelled",
        "lease_held",
    ) and "Somebody else holds control" in command.detail
    assert simulator.truth()["bodies_received"] == 0
