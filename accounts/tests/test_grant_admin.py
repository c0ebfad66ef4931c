"""Grants given and withdrawn in the admin, with the checks of the API and the words at their fields."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.utils import timezone

from accounts import permissions, role_changes
from accounts.models import Grant, JournalEntry, Role, User
from firmware.models import Robot, Site
from robotctl.tests.system import register

pytestmark = pytest.mark.django_db(transaction=True)
LIST, ADD = "/admin/accounts/grant/", "/admin/accounts/grant/add/"


@pytest.fixture
def robot(people: Any) -> Robot:
    made: Robot = register("oht-01", "http://127.0.0.1:9")
    return made


def browser(who: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=who))
    return client


def form(on: Any, **more: Any) -> dict[str, Any]:
    now = timezone.now()
    target = f"{ContentType.objects.get_for_model(on).pk}:{on.pk}"
    dates = {"starts_at_0": f"{now:%Y-%m-%d}", "starts_at_1": "00:00:00", "ends_at_0": "", "ends_at_1": ""}
    return dates | {"user": "", "group": "", "where": target, "role": "operator", "reason": "shift"} | more


def refused(answer: Any, field: str, words: str) -> bool:
    return any(words in one for one in answer.context["adminform"].form.errors[field])


def test_a_grant_is_given_and_withdrawn(robot: Robot, people: Any) -> None:
    ada, site, crew = browser("ada"), Site.objects.create(name="Hall"), Group.objects.create(name="crew")
    page = ada.get(ADD).content.decode()
    assert "oht-01" in page and "Hall" in page
    charlie = people["charlie"]
    assert ada.post(ADD, form(robot, user=charlie.pk)).status_code == 302
    assert ada.post(ADD, form(site, group=crew.pk, role="viewer")).status_code == 302
    given = Grant.objects.get(user=charlie)
    assert (given.target, given.role_id, given.reason, given.granted_by) == (robot, "operator", "shift", people["ada"])
    assert permissions.may(charlie, "robot.command", robot)
    assert Grant.objects.get(group=crew).target == site
    assert JournalEntry.objects.filter(verb="grant.created").count() == 2
    assert ada.get(f"{LIST}{given.pk}/change/").status_code == 200
    assert ada.post(f"{LIST}{given.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not permissions.may(User.objects.get(pk=charlie.pk), "robot.view", robot)
    assert JournalEntry.objects.filter(verb="grant.deleted").count() == 1


def test_what_is_refused_is_said_at_its_field(robot: Robot, people: Any) -> None:
    own = ["users.view", "users.manage"]
    role_changes.save(Role(name="clerk", title="Clerk", parent_id="viewer", permissions=own))
    User.objects.filter(username="bob").update(role="clerk")
    bob, charlie, crew = browser("bob"), people["charlie"].pk, Group.objects.create(name="crew")
    assert refused(bob.post(ADD, form(robot, user=charlie)), "role", "You cannot give rights that you do not have")
    viewer = {"role": "viewer"}
    assert refused(bob.post(ADD, form(robot, **viewer)), "user", "a person or a group")
    assert refused(bob.post(ADD, form(robot, user=charlie, group=crew.pk, **viewer)), "user", "one of the two")
    assert refused(bob.post(ADD, form(robot, user=charlie, **viewer) | {"reason": ""}), "reason", "required")
    assert refused(bob.post(ADD, form(robot, user=charlie, **viewer) | {"where": "9:9"}), "where", "valid choice")
    over = {"ends_at_0": "2020-01-01", "ends_at_1": "00:00:00"}
    assert refused(bob.post(ADD, form(robot, user=charlie, **viewer, **over)), "ends_at", "after from")
    Robot.objects.update(retired_at=timezone.now())
    assert refused(bob.post(ADD, form(robot, user=charlie, **viewer)), "where", "valid choice")
    assert not Grant.objects.exists()


def test_nobody_withdraws_there_from_somebody_who_holds_more(robot: Robot, people: Any) -> None:
    role_changes.save(Role(name="clerk", title="Clerk", parent_id="viewer", permissions=["users.view", "users.manage"]))
    User.objects.filter(username="bob").update(role="clerk")
    role = Role.objects.get(pk="operator")
    given = permissions.grant(robot, role=role, holder=people["charlie"], by=None, reason="shift")
    answer = browser("bob").post(f"{LIST}{given.pk}/delete/", {"post": "yes"}, follow=True)
    assert "Not deleted. You cannot take rights" in answer.content.decode()
    chosen = {"action": "delete_selected", "_selected_action": [given.pk], "post": "yes"}
    assert "You cannot take rights" in browser("bob").post(LIST, chosen, follow=True).content.decode()
    assert Grant.objects.filter(pk=given.pk).exists()


def test_the_list_is_found_by_holder_role_and_state(robot: Robot, people: Any) -> None:
    now, hour = timezone.now(), timedelta(hours=1)
    role, crew = Role.objects.get(pk="operator"), Group.objects.create(name="crew")
    about: dict[str, Any] = {"role": role, "by": None, "reason": "shift"}
    active = permissions.grant(robot, holder=people["charlie"], **about)
    future = permissions.grant(robot, holder=crew, starts_at=now + hour, **about)
    ended = permissions.grant(robot, holder=people["bob"], starts_at=now - 2 * hour, ends_at=now - hour, **about)
    queries = {
        "state=active": {active}, "state=future": {future}, "state=ended": {ended}, "role__name__exact=viewer": set(),
        f"holder=group:{crew.pk}": {future}, f"holder=user:{people['bob'].pk}": {ended}, "": {active, future, ended},
    }  # fmt: skip
    for query, expected in queries.items():
        assert set(browser("ada").get(f"{LIST}?{query}").context["cl"].queryset) == expected, query


def test_who_may_only_look_gives_nothing(robot: Robot, people: Any) -> None:
    role = Role.objects.get(pk="operator")
    given = permissions.grant(robot, role=role, holder=people["charlie"], by=None, reason="shift")
    otto = browser("otto")
    assert otto.get(LIST).status_code == 200 and otto.get(f"{LIST}{given.pk}/change/").status_code == 200
    assert otto.get(ADD).status_code == 403 and otto.post(f"{LIST}{given.pk}/delete/").status_code == 403
