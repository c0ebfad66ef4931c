"""Whoever manages people does not become more than they are: not by links, passwords, groups, tokens, nor in the admin."""

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from accounts import permissions, role_changes, stop_tickets
from accounts.models import ApiToken, JournalEntry, Role, User
from firmware.models import Robot, Site
from robotctl.tests.fixtures import PASSWORD
from robotctl.tests.system import register

pytestmark = pytest.mark.django_db(transaction=True)
API = "/api/v1"


@pytest.fixture
def clerk(people: Any) -> User:
    """bob manages people, and may do nothing else."""
    clerks = Role(name="clerk", title="Clerk", parent_id="guest", permissions=["users.view", "users.manage"])
    role_changes.save(clerks)
    User.objects.filter(username="bob").update(role=clerks)
    return User.objects.get(username="bob")


def refused() -> list[JournalEntry]:
    """What the record tells of somebody who reached beyond their rights."""
    return list(JournalEntry.objects.filter(verb="access.denied", outcome="denied").order_by("id"))


def token(api: Any, who: str, **limits: Any) -> Any:
    made = api(who).post(f"{API}/auth/tokens/", {"name": "script", **limits})
    assert made.status_code == 201, made.json()
    found = api(None)
    found.credentials(HTTP_AUTHORIZATION=f"Token {made.json()['token']}")
    return found


@pytest.mark.parametrize(("method", "path", "body"), [
    ("post", "link/", {}), ("delete", "mfa/", {"reason": "x"}), ("post", "sign-out/", {}), ("get", "sessions/", None),
    ("patch", "", {"email": "h@evil.example"}), ("patch", "", {"password": "quite a long phrase"}),
])  # fmt: skip
def test_nobody_who_holds_more_is_managed(method: str, path: str, body: Any, clerk: User, api: Any) -> None:
    answer = getattr(api("bob"), method)(f"{API}/users/ada/{path}", body)
    assert (answer.status_code, answer.json()["code"]) == (403, "beyond_own_rights")
    assert User.objects.get(username="ada").check_password(PASSWORD)
    (row,) = refused()
    assert row.reason.startswith("They hold rights that you do not have") and "ada" not in row.target


def test_nor_in_the_admin(clerk: User, people: Any) -> None:
    browser = Client()
    browser.force_login(clerk)
    ada = people["ada"]
    form = {"password1": "quite a long phrase", "password2": "quite a long phrase", "usable_password": "true"}
    browser.post(f"/admin/accounts/user/{ada.pk}/password/", form)
    assert User.objects.get(pk=ada.pk).check_password(PASSWORD)
    ApiToken.objects.create(ada)
    browser.post("/admin/accounts/user/", {"action": "sign_out", "_selected_action": [ada.pk]})
    assert ApiToken.objects.filter(user=ada).exists()
    assert [row.reason[:20] for row in refused()] == ["They hold rights tha"] * 2


def test_a_table_of_people_that_would_give_more_is_in_the_record(clerk: User, api: Any) -> None:
    rows = [{"username": "mallory", "role": "admin"}, {"username": "ada", "role": "admin", "email": "m@example.org"}]
    answer = api("bob").post(f"{API}/users/import/", {"users": rows, "dry_run": True})
    assert not answer.json()["applied"]
    (row,) = refused()
    assert row.target == "users.import" and row.data == {"count": 2}


def test_an_address_is_forgiven_by_whoever_outranks_all_who_were_guessed_at_from_there(clerk: User, api: Any) -> None:
    for _ in range(3):
        api(None).post(f"{API}/auth/login/", {"username": "ada", "password": "wrong-horse"})
    address = {"address": "127.0.0.1"}
    answer = api("bob").post(f"{API}/users/charlie/unlock/", address)
    assert (answer.status_code, answer.json()["code"]) == (403, "beyond_own_rights")
    assert AccessAttempt.objects.exists()
    answer = api("ada").post(f"{API}/users/charlie/unlock/", address)
    assert (answer.status_code, answer.json()["code"]) == (409, "yourself"), "nor does one forgive oneself"
    role_changes.save(Role(name="deputy", title="Deputy", parent_id="admin"))
    User.objects.filter(username="erin").update(role="deputy")
    assert api("erin").post(f"{API}/users/charlie/unlock/", address).status_code == 200
    (row,) = JournalEntry.objects.filter(verb="auth.unlocked")
    assert len(row.data["others"]) == 1 and not AccessAttempt.objects.exists()


def test_what_is_hidden_from_somebody_is_granted_and_grouped_by_them_nowhere(clerk: User, api: Any) -> None:
    hall = Site.objects.create(name="Hall A")
    robot = register("oht-01", "http://127.0.0.1:9")
    Robot.objects.filter(pk=robot.pk).update(site=hall)
    made = api("ada").post(f"{API}/robot-groups/", {"name": "cranes", "robots": ["oht-01"]})
    assert made.status_code == 201
    given = api("ada").post(f"{API}/robots/oht-01/access/", {"user": "charlie", "role": "guest", "reason": "x"})
    assert given.status_code == 201
    browser = Client()
    browser.force_login(clerk)
    pages = ("accounts/grant/", "accounts/grant/add/", "firmware/robotgroup/", "firmware/robotgroup/add/")
    for page in pages:
        shown = browser.get(f"/admin/{page}").content.decode()
        assert [name for name in ("oht-01", "Hall A", "cranes") if name in shown] == [], page
    body = {"user": "charlie", "role": "guest", "reason": "mine"}
    for path in ("robots/oht-01", f"sites/{hall.pk}", "robot-groups/cranes"):
        answers = [api("bob").get(f"{API}/{path}/access/"), api("bob").post(f"{API}/{path}/access/", body)]
        assert [answer.status_code for answer in answers] == [404, 404], path
    known, ghost = (
        api("bob").post(f"{API}/robot-groups/", {"name": "g", "robots": [slug]}) for slug in ("oht-01", "ghost")
    )
    assert known.status_code == ghost.status_code == 400
    assert str(known.json()).replace("oht-01", "ghost") == str(ghost.json())


@pytest.mark.parametrize("path", [
    "grant/?holder=user:²", "grant/?holder=user:999999999999999999999999", "user/xx/password/", "user/²/password/",
])  # fmt: skip
def test_odd_addresses_of_the_admin_are_no_errors(path: str, people: Any) -> None:
    browser = Client()
    browser.force_login(people["ada"])
    assert browser.get(f"/admin/accounts/{path}").status_code in (200, 404)


@pytest.mark.parametrize("number", ["²", "9" * 30, "x"])
def test_an_odd_person_is_refused_at_the_field(number: str, people: Any) -> None:
    browser = Client()
    browser.force_login(people["ada"])
    answer = browser.post("/admin/accounts/grant/add/", {"user": number, "role": "viewer", "reason": "x"})
    assert answer.status_code == 200 and "Choose somebody from the list." in answer.content.decode()


@pytest.mark.parametrize("name", ["x/y", "..", "import"])
def test_a_group_of_people_is_called_what_an_address_can_hold(name: str, api: Any) -> None:
    answer = api("ada").post(f"{API}/groups/", {"name": name})
    assert answer.status_code == 400 and "name" in answer.json()["errors"]


def test_nobody_joins_a_group_that_holds_more(clerk: User, api: Any, people: Any) -> None:
    robot, crew = register("oht-01", "http://127.0.0.1:9"), Group.objects.create(name="crew")
    permissions.grant(robot, role=Role.objects.get(pk="engineer"), holder=crew, by=None, reason="shift")
    for path, body in (("groups/crew/", {"members": ["bob"]}), ("users/bob/", {"groups": ["crew"]})):
        answer = api("bob").patch(f"{API}/{path}", body)
        assert (answer.status_code, answer.json()["code"]) == (403, "beyond_own_rights"), path
    assert not crew.user_set.exists()
    assert api("ada").patch(f"{API}/groups/crew/", {"members": ["bob"]}).status_code == 200


@pytest.mark.parametrize("path", ["users/", "journal/", "roles/", "users/ada/link/", "robots/"])
def test_a_token_for_one_robot_does_nothing_else(path: str, api: Any, people: Any) -> None:
    register("oht-01", "http://127.0.0.1:9")
    limited = token(api, "ada", robots=["oht-01"])
    body = {"username": "mallory", "role": "admin", "slug": "new-1", "name": "N", "profile": "oht50"}
    answer = limited.post(f"{API}/{path}", body) if path != "journal/" else limited.get(f"{API}/{path}")
    assert answer.status_code == 403
    assert not User.objects.filter(username="mallory").exists()


def test_a_token_that_was_made_does_nothing_about_the_account(api: Any, people: Any) -> None:
    made = token(api, "ada")
    refused = [
        made.get(f"{API}/auth/tokens/"), made.post(f"{API}/auth/tokens/", {"name": "more", "scopes": ["stop"]}),
        made.delete(f"{API}/auth/tokens/x/"), made.post(f"{API}/auth/mfa/"),
        made.patch(f"{API}/users/ada/", {"email": "x@example.org"}), made.get(f"{API}/auth/sessions/"),
    ]  # fmt: skip
    assert [answer.status_code for answer in refused] == [403] * 6


@pytest.mark.parametrize(("method", "path", "body"), [
    ("patch", "", {"password": "quite a long phrase"}), ("delete", "mfa/", {"reason": "x"}), ("post", "link/", {}),
])  # fmt: skip
def test_ones_own_password_and_factor_are_not_managed(method: str, path: str, body: Any, api: Any, people: Any) -> None:
    answer = getattr(api("ada"), method)(f"{API}/users/ada/{path}", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "yourself")


def test_a_role_inherits_that_it_asks_for_a_second_factor(api: Any, people: Any) -> None:
    api("ada").post(f"{API}/roles/", {"name": "child", "title": "Child", "parent": "operator"})
    assert api("ada").patch(f"{API}/roles/operator/", {"mfa_required": True}).status_code == 200
    assert set(Role.objects.filter(asks_factor=True).values_list("pk", flat=True)) == {
        "operator",
        "engineer",
        "admin",
        "child",
    }
    User.objects.filter(username="charlie").update(role="child")
    assert api("charlie").get(f"{API}/robots/").json()["code"] == "mfa_setup_required"
    assert api("charlie").get(f"{API}/auth/mfa/").json()["required"] is True
    Role.objects.filter(pk="operator").update(mfa_required=False)
    role_changes.save(Role.objects.get(pk="operator"))
    assert not Role.objects.filter(asks_factor=True).exists()


def test_a_grant_of_such_a_role_counts_only_with_one(api: Any, people: Any) -> None:
    robot = register("oht-01", "http://127.0.0.1:9")
    permissions.grant(robot, role=Role.objects.get(pk="operator"), holder=people["charlie"], by=None, reason="shift")
    assert api("charlie").get(f"{API}/robots/oht-01/").status_code == 200
    operator = Role.objects.get(pk="operator")
    operator.mfa_required = True
    role_changes.save(operator)
    assert api("charlie").get(f"{API}/robots/oht-01/").status_code == 404
    assert api("charlie").get(f"{API}/robots/").json()["results"] == []


def test_an_administrator_who_cannot_sign_in_is_none(api: Any, people: Any) -> None:
    assert api("ada").post(f"{API}/users/", {"username": "ghost", "role": "admin"}).status_code == 201
    assert api("ada").patch(f"{API}/users/ada/", {"role": "viewer"}).json()["code"] == "last_admin"


def test_a_stop_ticket_ends_with_the_token_it_was_bought_with(api: Any, people: Any) -> None:
    register("oht-01", "http://127.0.0.1:9")
    soon = token(api, "bob", scopes=["stop"], expires_in_s=60)
    ends = soon.post(f"{API}/auth/stop-ticket/").json()["expires_at"]
    assert ends <= (timezone.now() + timedelta(seconds=61)).isoformat()
    assert stop_tickets.LIFETIME_S == 3600


@pytest.mark.parametrize("name", ["..", "system", "export", "deleted-7", "ALICE", "Import"])
def test_names_that_would_mean_somebody_else_are_refused(name: str, api: Any, people: Any) -> None:
    answer = api("ada").post(f"{API}/users/", {"username": name, "role": "viewer"})
    assert answer.status_code == 400 and "username" in answer.json()["errors"]


def test_whoever_was_forgotten_does_not_come_back(api: Any, people: Any) -> None:
    from auditlog.models import LogEntry

    api("ada").delete(f"{API}/users/alice/", {"reason": "left"})
    gone = User.objects.get(pk=people["alice"].pk)
    answer = api("ada").patch(f"{API}/users/{gone.username}/", {"is_active": True})
    assert (answer.status_code, answer.json()["code"]) == (409, "forgotten")
    assert not LogEntry.objects.exists(), "the journal is the record"


def test_a_newer_link_and_a_sign_out_make_older_ones_void(api: Any, people: Any) -> None:
    def good(url: str) -> bool:
        return (
            b"set-password" in Client().get(url, follow=True).content
            or b"new_password1" in Client().get(url, follow=True).content
        )

    first = api("ada").post(f"{API}/users/bob/link/").json()["url"]
    assert good(first)
    second = api("ada").post(f"{API}/users/bob/link/").json()["url"]
    assert not good(first) and good(second)
    api("ada").post(f"{API}/users/bob/sign-out/")
    assert not good(second)


def test_a_stale_grid_undoes_nothing(people: Any) -> None:
    browser = Client()
    browser.force_login(people["ada"])
    own = [f"{role.pk}:{action}" for role in Role.objects.all() for action in role.permissions]
    late = Role(name="late", title="Late", parent_id="viewer", permissions=["robot.command"])
    role_changes.save(late)
    browser.post(
        "/admin/accounts/role/matrix/", {"shown": own, "cell": [one for one in own if one != "operator:robot.jog"]}
    )
    assert Role.objects.get(pk="late").permissions == ["robot.command"]
    assert "robot.jog" not in Role.objects.get(pk="operator").permissions


def test_a_partial_matrix_wipes_nothing(api: Any, people: Any) -> None:
    put = api("ada").put(f"{API}/roles/matrix/", {"roles": [{"name": "viewer", "title": "V"}]})
    assert put.status_code == 400 and Role.objects.get(pk="viewer").permissions
    row: dict[str, Any] = {"name": "validation", "title": "V", "parent": None, "permissions": [], "mfa_required": False}
    assert api("ada").put(f"{API}/roles/matrix/", {"roles": [row]}).status_code == 400
    assert api("ada").put(f"{API}/roles/matrix/", {"roles": [row | {"name": "x"}] * 2}).status_code == 400


def test_a_column_that_a_table_has_not_is_left_as_it_is(api: Any, people: Any) -> None:
    User.objects.filter(username="bob").update(is_active=False, email="bob@example.org", last_name="'t Hooft")
    table = "username,role\nbob,viewer\n"
    told = api("ada").post(f"{API}/users/import/", {"csv": table}).json()
    assert (told["applied"], told["rows"][0]["does"]) == (True, "nothing")
    bob = User.objects.get(username="bob")
    assert (bob.is_active, bob.email) == (False, "bob@example.org")
    out = api("ada").get(f"{API}/users/export/?as=csv").content.decode()
    assert all(row["does"] == "nothing" for row in api("ada").post(f"{API}/users/import/", {"csv": out}).json()["rows"])


def test_a_grant_that_is_over_already_is_refused(api: Any, people: Any) -> None:
    register("oht-01", "http://127.0.0.1:9")
    body = {"user": "bob", "role": "operator", "reason": "x", "until": "2020-01-01T00:00:00Z"}
    assert "until" in api("ada").post(f"{API}/robots/oht-01/access/", body).json()["errors"]
