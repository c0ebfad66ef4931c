"""Who may do what on which robot: roles, grants, their ends, and the stranger."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from guardian.models import UserObjectPermission

from accounts import permissions
from accounts.models import Grant, JournalEntry, Role
from firmware.models import Robot
from robotctl.tests.system import register

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def robot(transactional_db: None) -> Any:
    return register("oht-01", "http://127.0.0.1:9")


def fresh(user: Any) -> Any:
    return type(user).objects.get(pk=user.pk)


def give(robot: Any, holder: Any, role: str, **more: Any) -> Grant:
    return permissions.grant(robot, role=Role.objects.get(name=role), holder=holder, by=None, reason="shift", **more)


def test_the_stranger_may_nothing(robot: Any) -> None:
    assert permissions.rights(AnonymousUser(), robot) == frozenset()
    assert not permissions.visible(AnonymousUser(), Robot.objects.all())


def test_a_deactivated_person_may_nothing(robot: Any, people: Any) -> None:
    people["ada"].is_active = False
    assert permissions.rights(people["ada"], robot) == frozenset()


def test_a_grant_gives_a_role_on_one_robot_and_on_no_other(robot: Any, people: Any) -> None:
    other = register("oht-02", "http://127.0.0.1:10")
    charlie = people["charlie"]
    give(robot, charlie, "operator")
    assert permissions.may(charlie, "robot.command", robot)
    assert permissions.may(charlie, "robot.stop", robot)
    assert not permissions.may(charlie, "robot.reset", robot)
    assert not permissions.may(charlie, "robot.view", other)
    assert list(permissions.visible(charlie, Robot.objects.all())) == [robot]
    assert UserObjectPermission.objects.filter(user=charlie, permission__codename="command_robot").exists()


def test_a_grant_to_a_group_holds_for_its_members(robot: Any, people: Any) -> None:
    team = Group.objects.create(name="night shift")
    give(robot, team, "operator")
    assert not permissions.may(people["charlie"], "robot.view", robot)
    people["charlie"].groups.add(team)
    assert permissions.may(people["charlie"], "robot.command", robot)


@pytest.mark.parametrize(("starts", "ends", "holds"), [(-2, 2, True), (-2, -1, False), (1, 2, False), (-2, None, True)])
def test_a_grant_holds_only_between_its_dates_without_any_scheduler(
    robot: Any, people: Any, starts: int, ends: int | None, holds: bool
) -> None:
    now = timezone.now()
    give(
        robot,
        people["charlie"],
        "operator",
        starts_at=now + timedelta(hours=starts),
        ends_at=None if ends is None else now + timedelta(hours=ends),
    )
    assert permissions.may(people["charlie"], "robot.command", robot) is holds
    assert bool(permissions.visible(people["charlie"], Robot.objects.all())) is holds


def test_a_projection_that_was_taken_away_by_hand_closes(robot: Any, people: Any) -> None:
    give(robot, people["charlie"], "operator")
    UserObjectPermission.objects.all().delete()
    assert not permissions.may(people["charlie"], "robot.command", robot)


def test_a_guardian_row_without_a_grant_opens_nothing(robot: Any, people: Any) -> None:
    from guardian.shortcuts import assign_perm

    assign_perm("command_robot", people["charlie"], robot)
    assert not permissions.may(people["charlie"], "robot.command", robot)


def test_a_withdrawn_grant_takes_its_projection_along(robot: Any, people: Any) -> None:
    give(robot, people["charlie"], "viewer")
    permissions.withdraw(give(robot, people["charlie"], "engineer"))
    assert permissions.may(people["charlie"], "robot.view", robot)
    assert not permissions.may(people["charlie"], "robot.reset", robot)
    assert not UserObjectPermission.objects.filter(permission__codename="reset_robot").exists()


def test_the_list_costs_the_same_for_one_robot_and_for_many(people: Any) -> None:
    made = [register(f"oht-{number}", f"http://127.0.0.1:{1000 + number}") for number in range(30)]
    for one in made[:20]:
        give(one, people["charlie"], "viewer")
    with CaptureQueriesContext(connection) as captured:
        assert len(permissions.visible(fresh(people["charlie"]), Robot.objects.all())) == 20
    assert len(captured) <= 7  # two of them look up kinds of objects, once in the life of a process


def test_granting_over_the_api_needs_the_right_and_is_journalled(robot: Any, people: Any, api: Any) -> None:
    body = {
        "user": "charlie",
        "role": "operator",
        "reason": "night shift",
        "until": (timezone.now() + timedelta(hours=8)).isoformat(),
    }
    path = "/api/v1/robots/oht-01/access/"
    for name, status in ((None, 401), ("charlie", 404), ("bob", 403), ("erin", 403), ("otto", 403)):
        assert api(name).post(path, body, format="json").status_code == status
    assert api("ada").post(path, body, format="json").status_code == 201
    assert api("charlie").get("/api/v1/robots/oht-01/state/").status_code == 200
    made = JournalEntry.objects.get(verb="grant.created")
    assert (made.actor_id, made.robot, made.target) == (people["ada"].pk, "oht-01", "operator on robot oht-01")
    given = api("ada").get(path).json()["results"][0]
    assert (given["user"], given["role"], given["reason"]) == ("charlie", "operator", "night shift")
    assert api("ada").delete(f"{path}{given['id']}/").status_code == 204
    assert api("charlie").get("/api/v1/robots/oht-01/state/").status_code == 404
    gone = JournalEntry.objects.get(verb="grant.deleted")
    assert (gone.robot, gone.target) == ("oht-01", "operator on robot oht-01")


@pytest.mark.parametrize(("body", "field"), [
    ({"user": "nobody", "role": "viewer", "reason": "x"}, "user"),
    ({"user": "bob", "role": "king", "reason": "x"}, "role"),
    ({"user": "bob", "role": "viewer"}, "reason"),
    ({"role": "viewer", "reason": "x"}, "user"),
    ({"user": "bob", "role": "viewer", "reason": "x", "from": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "until"),
])  # fmt: skip
def test_a_bad_grant_is_refused_in_the_fields_own_words(robot: Any, api: Any, body: dict[str, Any], field: str) -> None:
    answer = api("ada").post("/api/v1/robots/oht-01/access/", body, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_ended_grants_are_tidied_away_and_told(robot: Any, people: Any) -> None:
    from accounts import tasks

    now = timezone.now()
    give(robot, people["charlie"], "viewer", starts_at=now - timedelta(hours=2), ends_at=now - timedelta(hours=1))
    tasks.end_grants()
    assert not Grant.objects.exists()
    assert not UserObjectPermission.objects.exists()
    ended = JournalEntry.objects.get(verb="grant.ended")
    assert (ended.robot, ended.target) == ("oht-01", "viewer on robot oht-01")
