"""What a robot belongs to gives rights on it: nobody moves a robot, or ends a grant, past what they hold themselves."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from accounts import permissions, role_changes, stop_tickets
from accounts.models import Grant, JournalEntry, Role, StopRevocation, User
from firmware.models import Robot, RobotGroup, Site
from robotctl.tests.system import register

pytestmark = pytest.mark.django_db(transaction=True)
API = "/api/v1"


@pytest.fixture
def fleet(people: Any) -> Robot:
    """A robot, a hall and a group that charlie is engineer on; bob manages people, and robots, and holds no more."""
    own = ["users.view", "users.manage", "robot.configure"]
    role_changes.save(Role(name="clerk", title="Clerk", parent_id="viewer", permissions=own))
    User.objects.filter(username="bob").update(role="clerk")
    hall, cranes = Site.objects.create(name="Hall"), RobotGroup.objects.create(name="cranes")
    Site.objects.create(name="Yard")
    for where in (hall, cranes):
        give(where, people["charlie"])
    robot: Robot = register("oht-01", "http://127.0.0.1:9")
    return robot


def give(where: Any, holder: Any, role: str = "engineer", **about: Any) -> Grant:
    return permissions.grant(where, role=Role.objects.get(pk=role), holder=holder, by=None, reason="shift", **about)


def refused(answer: Any, code: str = "beyond_own_rights") -> bool:
    return (answer.status_code, answer.json()["code"]) == (403, code)


def browser(who: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=who))
    return client


def robot_form(robot: Robot, **more: Any) -> dict[str, Any]:
    held = {"name": robot.name, "profile": robot.profile, "base_url": robot.base_url, "settings": "{}", "place": ""}
    return held | {"slug": robot.slug, "poll_interval_s": 1, "simulated": "on", "credentials": ""} | more


def test_a_robot_moves_to_a_site_only_with_the_rights_that_are_granted_there(fleet: Robot, api: Any) -> None:
    path = f"{API}/robots/oht-01/"
    assert refused(api("erin").patch(path, {"site": "Hall"}), "permission_denied"), "robot.configure is not enough"
    assert refused(api("bob").patch(path, {"site": "Hall"}))
    assert api("charlie").get(path).status_code == 404
    new = {"slug": "oht-02", "name": "N", "profile": "oht50", "base_url": "http://127.0.0.1:9", "simulated": True}
    assert refused(api("erin").post(f"{API}/robots/", new | {"site": "Hall"}), "permission_denied")
    assert not Robot.objects.filter(slug="oht-02").exists()
    assert api("erin").patch(path, {"site": "Yard"}).status_code == 200, "no grant lies there"
    assert api("ada").patch(path, {"site": "Hall"}).status_code == 200
    assert api("charlie").get(path).status_code == 200
    told = JournalEntry.objects.get(verb="robot.site_changed", data__site=["Yard", "Hall"])
    assert told.robot == "oht-01"
    assert refused(api("bob").patch(path, {"site": None})), "it takes charlie's rights away"
    assert refused(api("erin").patch(path, {"site": None}), "permission_denied")
    assert api("erin").patch(path, {"site": "Hall", "place": "bay 2"}).status_code == 200, "where it was"


def test_a_grant_that_begins_later_counts_and_one_that_is_over_does_not(fleet: Robot, api: Any) -> None:
    now = timezone.now()
    Grant.objects.update(starts_at=now + timedelta(days=1))
    assert refused(api("bob").patch(f"{API}/robots/oht-01/", {"site": "Hall"}))
    assert refused(api("bob").patch(f"{API}/robot-groups/cranes/", {"robots": ["oht-01"]}))
    Grant.objects.update(starts_at=now - timedelta(days=2), ends_at=now - timedelta(days=1))
    assert api("bob").patch(f"{API}/robots/oht-01/", {"site": "Hall"}).status_code == 200
    assert api("bob").patch(f"{API}/robot-groups/cranes/", {"robots": ["oht-01"]}).status_code == 200


def test_a_robot_joins_and_leaves_a_group_only_so(fleet: Robot, api: Any) -> None:
    path = f"{API}/robot-groups/cranes/"
    assert refused(api("bob").patch(path, {"robots": ["oht-01"]}))
    assert not fleet.groups.exists()
    assert api("bob").patch(path, {"title": "Cranes"}).status_code == 200, "no robot moves"
    assert api("ada").patch(path, {"robots": ["oht-01"]}).status_code == 200
    assert refused(api("bob").patch(path, {"robots": []}))
    assert refused(api("bob").delete(path))
    assert fleet.groups.exists()


def test_nor_in_the_admin(fleet: Robot, api: Any) -> None:
    hall, cranes = Site.objects.get(name="Hall"), RobotGroup.objects.get(name="cranes")
    robot = f"/admin/firmware/robot/{fleet.pk}/change/"
    for who in ("erin", "bob"):
        shown = browser(who).post(robot, robot_form(fleet, site=hall.pk), follow=True).content.decode()
        assert "Not saved." in shown and Robot.objects.get().site is None, who
    group = f"/admin/firmware/robotgroup/{cranes.pk}/change/"
    answer = browser("bob").post(group, {"name": "cranes", "title": "", "robots": [fleet.pk]}, follow=True)
    assert "Not saved." in answer.content.decode() and not fleet.groups.exists()
    for model, pk in (("site", hall.pk), ("robotgroup", cranes.pk)):
        page, listed = f"/admin/firmware/{model}/{pk}/delete/", f"/admin/firmware/{model}/"
        assert "Not deleted." in browser("bob").post(page, {"post": "yes"}, follow=True).content.decode(), model
        browser("bob").post(listed, {"action": "delete_selected", "_selected_action": [pk], "post": "yes"})
    assert Grant.objects.count() == 2
    browser("ada").post(robot, robot_form(fleet, site=hall.pk))
    browser("ada").post(group, {"name": "cranes", "title": "", "robots": [fleet.pk]})
    assert Robot.objects.get().site == hall and fleet.groups.get() == cranes
    assert JournalEntry.objects.get(verb="robot.site_changed").data == {"site": [None, "Hall"]}
    assert JournalEntry.objects.get(verb="robotgroup.changed").data["robots"] == [[], ["oht-01"]]
    chosen = {"action": "delete_selected", "_selected_action": [hall.pk], "post": "yes"}
    browser("ada").post("/admin/firmware/site/", chosen)
    browser("ada").post(f"/admin/firmware/robotgroup/{cranes.pk}/delete/", {"post": "yes"})
    assert not Grant.objects.exists(), "what they were granted on is gone, and they with it"


def test_nobody_ends_a_grant_of_somebody_who_holds_more(fleet: Robot, api: Any, people: Any) -> None:
    small, own = give(fleet, people["ada"], "viewer"), give(fleet, people["bob"], "operator")
    crew = Group.objects.create(name="crew")
    crew.user_set.add(people["erin"])
    shared, small_one = give(fleet, crew, "viewer"), give(fleet, people["otto"], "viewer")
    path = f"{API}/robots/oht-01/access"
    assert refused(api("bob").delete(f"{path}/{small.pk}/")), "ada holds more, whatever this one gives"
    assert refused(api("bob").delete(f"{path}/{shared.pk}/")), "erin is in that group"
    assert refused(api("bob").delete(f"{API}/groups/crew/"))
    assert refused(api("bob").patch(f"{API}/groups/crew/", {"members": []}))
    assert refused(api("bob").patch(f"{API}/users/charlie/", {"is_active": False})), "an engineer, by grants"
    assert refused(api("bob").delete(f"{path}/{small_one.pk}/")), "otto may look into the journal"
    assert api("bob").delete(f"{path}/{own.pk}/").status_code == 204, "one's own can be given up"
    assert Grant.objects.filter(pk__in=[small.pk, shared.pk, small_one.pk]).count() == 3
    assert api("ada").delete(f"{path}/{small.pk}/").status_code == 204
    assert api("ada").delete(f"{API}/groups/crew/").status_code == 204
    assert not Grant.objects.filter(pk=shared.pk).exists()


def void(user: User) -> bool:
    return StopRevocation.objects.filter(user=user).exists()


def everybodys() -> bool:
    return StopRevocation.objects.filter(user=None).exists()


def forget_revocations(*_: Any) -> None:
    StopRevocation.objects.all().delete()


def test_only_those_whose_stop_may_have_changed_lose_their_tickets(fleet: Robot, api: Any, people: Any) -> None:
    crew = Group.objects.create(name="crew")
    crew.user_set.add(people["otto"])
    give(Site.objects.get(name="Yard"), crew)
    forget_revocations()
    api("ada").patch(f"{API}/robots/oht-01/", {"site": "Hall"})
    assert void(people["charlie"]) and not void(people["otto"]) and not void(people["alice"]) and not everybodys()
    forget_revocations()
    api("ada").patch(f"{API}/robots/oht-01/", {"site": "Yard"})
    assert void(people["charlie"]) and void(people["otto"]) and not void(people["alice"]) and not everybodys()
    forget_revocations()
    api("ada").patch(f"{API}/robot-groups/cranes/", {"robots": ["oht-01"]})
    assert void(people["charlie"]) and not void(people["otto"]) and not everybodys()
    forget_revocations()
    api("ada").patch(f"{API}/groups/crew/", {"members": ["otto", "alice"]})
    assert void(people["alice"]) and not void(people["otto"]) and not everybodys()
    forget_revocations()
    api("ada").delete(f"{API}/groups/crew/")
    assert void(people["alice"]) and void(people["otto"]) and not void(people["charlie"]) and not everybodys()


def test_a_role_that_stops_as_before_leaves_every_ticket(fleet: Robot, api: Any, people: Any) -> None:
    forget_revocations()
    assert api("ada").patch(f"{API}/roles/operator/", {"permissions": ["robot.command"]}).status_code == 200
    assert not StopRevocation.objects.exists()
    assert api("ada").patch(f"{API}/roles/engineer/", {"mfa_required": True}).status_code == 200
    assert void(people["erin"]) and void(people["charlie"]) and not void(people["alice"]) and not everybodys()
    engineer = Role.objects.get(pk="engineer")
    engineer.mfa_required = False
    role_changes.save(engineer)  # administrators inherit it
    forget_revocations()
    ticket = api("alice").post(f"{API}/auth/stop-ticket/").json()["ticket"]
    stop_tickets.learn_revocations()
    assert stop_tickets.read(ticket) is not None
    assert api("ada").patch(f"{API}/roles/viewer/", {"permissions": ["alerts.view"]}).status_code == 200
    assert void(people["alice"]) and not everybodys(), "operators see and stop no longer"
    stop_tickets.learn_revocations()
    assert stop_tickets.read(ticket) is None


def test_auditors_read_who_has_which_role(fleet: Robot, api: Any) -> None:
    hall = Site.objects.get(name="Hall")
    for path in ("robots/oht-01", f"sites/{hall.pk}", "robot-groups/cranes"):
        for who, status in (("otto", 200), ("ada", 200), ("erin", 403)):
            assert api(who).get(f"{API}/{path}/access/").status_code == status, (who, path)
        body = {"user": "otto", "role": "viewer", "reason": "x"}
        assert api("otto").post(f"{API}/{path}/access/", body).status_code == 403
    grant = Grant.objects.on(hall).get()
    assert api("otto").delete(f"{API}/sites/{hall.pk}/access/{grant.pk}/").status_code == 403


def test_a_person_keeps_their_name_in_the_admin(people: Any) -> None:
    alice = people["alice"]
    page = f"/admin/accounts/user/{alice.pk}/change/"
    assert 'id="id_username"' not in browser("ada").get(page).content.decode()
    browser("ada").post(page, {"username": "mallory", "role": "viewer", "is_active": "on", "email": "a@example.org"})
    alice.refresh_from_db()
    assert (alice.username, alice.role_id, alice.email) == ("alice", "viewer", "a@example.org")
