"""Rights on a robot, a group of robots and a site: from and until, at once, and explained."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import explain, permissions, role_changes, roles
from accounts.models import Grant, JournalEntry, Role, User
from firmware.models import Robot, RobotGroup, Site
from robotctl.tests.system import register

pytestmark = pytest.mark.django_db(transaction=True)
API = "/api/v1"


@pytest.fixture
def fleet(people: Any) -> list[Any]:
    hall = Site.objects.create(name="Hall B")
    made = [register(f"oht-0{number}", f"http://127.0.0.1:{number}") for number in (1, 2, 3)]
    made[0].site = hall
    made[0].save()
    return made


def give(api: Any, on: str, role: str = "operator", user: str = "charlie", **more: Any) -> Any:
    return api("ada").post(f"{API}/{on}/access/", {"user": user, "role": role, "reason": "shift", **more})


def seen(api: Any, who: str = "charlie") -> set[str]:
    return {robot["slug"] for robot in api(who).get(f"{API}/robots/").json()["results"]}


def why(api: Any, action: str, who: str = "charlie", slug: str = "oht-01", by: str = "ada") -> Any:
    return api(by).get(f"{API}/robots/{slug}/access/why/?user={who}&action={action}").json()


def test_a_role_on_a_site_holds_on_its_robots_and_on_no_other(fleet: Any, api: Any) -> None:
    hall = Site.objects.get(name="Hall B")
    made = give(api, f"sites/{hall.pk}")
    assert made.status_code == 201 and made.json()["on"] == "site Hall B"
    assert seen(api) == {"oht-01"}
    assert api("charlie").get(f"{API}/robots/oht-02/").status_code == 404
    assert api("charlie").post(f"{API}/robots/oht-01/lease/").status_code == 200
    assert api("ada").patch(f"{API}/robots/oht-02/", {"site": "Hall B"}).status_code == 200
    assert seen(api) == {"oht-01", "oht-02"}, "a robot that comes to the site comes along"
    assert api("ada").delete(f"{API}/sites/{hall.pk}/access/{made.json()['id']}/").status_code == 204
    assert seen(api) == set()


def test_what_somebody_holds_already_is_not_given_twice(fleet: Any, api: Any) -> None:
    now = timezone.now()
    day, week = ((now + timedelta(days=days)).isoformat() for days in (1, 7))
    first = give(api, "robots/oht-01", until=week)
    assert first.status_code == 201
    for more in ({"until": week}, {"until": day}, {"from": day, "until": week}):
        again = give(api, "robots/oht-01", **more)
        assert (again.status_code, again.json()["code"]) == (409, "duplicate"), more
    assert f"grant {first.json()['id']}" in again.json()["detail"]
    assert Grant.objects.count() == 1
    assert give(api, "robots/oht-01").status_code == 201, "for longer is something else"
    assert give(api, "robots/oht-01", "viewer").status_code == 201
    assert give(api, "robots/oht-02", until=day).status_code == 201


def test_what_is_given_by_several_at_once_is_given_once(fleet: Any, api: Any) -> None:
    ready = threading.Barrier(6)

    def one(_: int) -> int:
        ready.wait(10)
        try:
            return int(give(api, "robots/oht-01").status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        told = list(threads.map(one, range(6)))
    assert sorted(told) == [201, *[409] * 5] and Grant.objects.count() == 1


def test_a_role_on_a_group_of_robots_follows_its_members(fleet: Any, api: Any) -> None:
    made = api("ada").post(f"{API}/robot-groups/", {"name": "cranes", "robots": ["oht-02", "oht-03"]})
    assert made.status_code == 201, made.json()
    assert give(api, "robot-groups/cranes", "viewer").status_code == 201
    assert seen(api) == {"oht-02", "oht-03"}
    assert api("ada").patch(f"{API}/robot-groups/cranes/", {"robots": ["oht-03"]}).status_code == 200
    assert seen(api) == {"oht-03"}
    assert JournalEntry.objects.filter(verb="robotgroup.changed").latest("pk").data["robots"] == [
        ["oht-02", "oht-03"], ["oht-03"],
    ]  # fmt: skip
    assert api("charlie").send("oht-03", "move", {"target_m": 20}).status_code == 403
    assert api("ada").delete(f"{API}/robot-groups/cranes/").status_code == 204
    assert seen(api) == set() and not Grant.objects.exists()


def test_a_list_costs_the_same_for_few_robots_and_many(fleet: Any, api: Any) -> None:
    group = RobotGroup.objects.create(name="all")
    group.robots.set(fleet)
    give(api, "robot-groups/all", "viewer")
    charlie = User.objects.get(username="charlie")

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert len(list(permissions.visible(charlie, Robot.objects.all()))) == group.robots.count()
        return len(captured)

    few = queries()
    group.robots.add(*[register(f"more-{number}", f"http://127.0.0.1:1{number:02}") for number in range(12)])
    assert queries() <= few


@pytest.mark.parametrize(("starts_s", "ends_s", "allowed"), [(-60, 60, True), (60, None, False), (-120, -60, False)])
def test_a_grant_counts_from_and_until_with_no_scheduler_running(
    starts_s: int, ends_s: int | None, allowed: bool, fleet: Any, api: Any
) -> None:
    now = timezone.now()
    give(api, "robots/oht-01", until=(now + timedelta(hours=1)).isoformat())
    ends = now + timedelta(seconds=ends_s) if ends_s is not None else None
    Grant.objects.update(starts_at=now + timedelta(seconds=starts_s), ends_at=ends)
    assert (seen(api) == {"oht-01"}) is allowed
    assert api("charlie").get(f"{API}/robots/oht-01/").status_code == (200 if allowed else 404)
    told = why(api, "robot.view")
    assert told["allowed"] is allowed
    (grant,) = [one for one in told["because"] if one["kind"] == "grant"]
    assert grant["gives"] is allowed and ("active" in grant["text"]) is allowed


def test_why_names_the_role_the_grant_and_the_rule(fleet: Any, api: Any) -> None:
    told = why(api, "robot.reset", "erin")
    assert (
        told["allowed"]
        and "The role engineer" in told["because"][0]["text"]
        and "as its own" in told["because"][0]["text"]
    )
    assert "inherited from operator" in why(api, "robot.command", "erin")["because"][0]["text"]
    told = why(api, "robot.command", "bob")
    assert not told["allowed"] and "does not include robot.command" in told["because"][0]["text"]
    give(api, "robots/oht-01", "engineer", "bob")
    told = why(api, "robot.command", "bob")
    assert told["allowed"] and told["because"][0]["kind"] == "grant"
    assert told["because"][0]["reason"] == "shift" and told["because"][0]["granted_by"] == "ada"
    assert any(one["kind"] == "rule" for one in why(api, "robot.stop", "bob")["because"])
    assert any("404" in one["text"] for one in why(api, "robot.command", "charlie")["because"])
    User.objects.filter(username="erin").update(is_active=False)
    told = why(api, "robot.reset", "erin")
    assert not told["allowed"] and any("deactivated" in one["text"] for one in told["because"])
    assert not any(one["gives"] for one in told["because"])


def test_what_why_says_is_what_is_done(fleet: Any, api: Any, people: Any) -> None:
    give(api, "robots/oht-01", "operator", "charlie")
    give(api, "robots/oht-01", "viewer", "otto")
    for name, user in people.items():
        for action in roles.ACTIONS:
            told = explain.why(user, action, fleet[0])
            assert told["allowed"] == permissions.may(user, action, fleet[0])
            if action.startswith("robot."):
                assert told["allowed"] == any(one["gives"] for one in told["because"]), (name, action)


def test_a_grant_that_asks_for_a_second_factor_says_that_it_is_missing(fleet: Any, api: Any, people: Any) -> None:
    operator = Role.objects.get(pk="operator")
    operator.mfa_required = True
    role_changes.save(operator)
    permissions.grant(fleet[0], role=operator, holder=people["charlie"], by=None, reason="shift")
    told = explain.why(User.objects.get(username="charlie"), "robot.command", fleet[0])
    assert told["allowed"] is False and not any(one["gives"] for one in told["because"])
    assert any("second factor" in one["text"] for one in told["because"] if one["kind"] == "grant")


def test_an_open_duty_is_the_reason_for_all_but_stop(fleet: Any, people: Any) -> None:
    User.objects.filter(username="alice").update(must_change_password=True)
    alice = User.objects.select_related("role").get(username="alice")
    told = explain.why(alice, "robot.command", fleet[0])
    assert told["allowed"] is False and not any(one["gives"] for one in told["because"])
    (account,) = [one for one in told["because"] if one["kind"] == "account"]
    assert account["code"] == "password_change_required" and "Change your password first" in account["text"]
    assert explain.why(alice, "robot.stop", fleet[0])["allowed"] is True


def test_who_may_ask_why(fleet: Any, api: Any) -> None:
    path = f"{API}/robots/oht-01/access/why/"
    assert api("alice").get(f"{path}?action=robot.command").json()["allowed"]
    assert api("alice").get(f"{path}?user=bob&action=robot.command").status_code == 403
    assert api("charlie").get(f"{path}?action=robot.view").status_code == 404
    assert api(None).get(f"{path}?action=robot.view").status_code == 401
    assert "action" in api("ada").get(f"{path}?action=robot.fly").json()["errors"]
    assert "user" in api("ada").get(f"{path}?action=robot.view&user=nobody").json()["errors"]


def test_nobody_gives_more_than_they_hold(fleet: Any, api: Any) -> None:
    Role.objects.create(name="clerk", title="Clerk", parent_id="viewer", permissions=["users.view", "users.manage"])
    User.objects.filter(username="otto").update(role="clerk")
    body = {"user": "otto", "role": "engineer", "reason": "me"}
    assert api("otto").post(f"{API}/robots/oht-01/access/", body).json()["code"] == "beyond_own_rights"
    assert api("otto").post(f"{API}/robots/oht-01/access/", body | {"role": "viewer"}).status_code == 201


@pytest.mark.parametrize("who", [None, "alice", "erin", "otto"])
def test_who_may_not_grant(who: str | None, fleet: Any, api: Any) -> None:
    RobotGroup.objects.create(name="cranes")
    body = {"user": "charlie", "role": "viewer", "reason": "x"}
    for on in ("robots/oht-01", f"sites/{Site.objects.first().pk}", "robot-groups/cranes"):  # type: ignore[union-attr]
        expected = 401 if who is None else 403
        assert api(who).post(f"{API}/{on}/access/", body).status_code == expected, on
        looking = 200 if who == "otto" else expected  # users.view
        assert api(who).get(f"{API}/{on}/access/").status_code == looking
    assert not Grant.objects.exists()


def test_jogging_is_a_right_of_its_own(fleet: Any, api: Any) -> None:
    Role.objects.create(name="jogger", title="Jogger", parent_id="viewer", permissions=["robot.jog"])
    Role.objects.create(name="mover", title="Mover", parent_id="viewer", permissions=["robot.command"])
    for name, may, may_not in (("jogger", "jog", "move"), ("mover", "move", "jog")):
        User.objects.filter(username="charlie").update(role=name)
        commands = api("charlie").get(f"{API}/robots/oht-01/state/").json()["commands"]
        assert commands[may_not]["code"] == "permission_denied" and commands[may]["code"] != "permission_denied"
        params = {"jog": {"speed_mps": 0.1}, "move": {"target_m": 20}}
        assert api("charlie").send("oht-01", may_not, params[may_not]).status_code == 403
        assert (
            api("charlie").send("oht-01", may, params[may]).status_code == 409
        )  # never read: no right is what it lacks
