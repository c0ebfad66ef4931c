"""What a change of a person in the admin ends: as much as the same change in the API."""

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from accounts import links, permissions
from accounts.models import ApiToken, JournalEntry, Role, SignIn, User
from robotctl.tests.fixtures import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin(people: Any) -> Client:
    client = Client()
    client.force_login(people["ada"])
    return client


def save(admin: Client, person: User, **changed: Any) -> Any:
    person = User.objects.get(pk=person.pk)
    about = {"username": person.username, "role": person.role_id, "is_active": person.is_active} | changed
    form = {name: value for name, value in about.items() if value is not False}
    return admin.post(f"/admin/accounts/user/{person.pk}/change/", form)


def test_who_is_deactivated_in_the_admin_is_out_for_good(admin: Client, api: Any, people: Any) -> None:
    alice, browser = people["alice"], Client()
    assert browser.post("/sign-in/", {"username": "alice", "password": PASSWORD}).status_code == 302
    token = api("alice")
    link = links.generator.make_token(User.objects.get(pk=alice.pk))
    for active in (False, True):
        assert save(admin, alice, is_active=active).status_code == 302
        assert User.objects.get(pk=alice.pk).is_active is active
        assert not ApiToken.objects.filter(user=alice).exists()
        assert not SignIn.objects.filter(user=alice).exists()
        assert not links.generator.check_token(User.objects.get(pk=alice.pk), link)
        assert token.get("/api/v1/auth/me/").status_code == 401
        assert browser.get("/api/v1/auth/me/").status_code == 401


def test_who_was_forgotten_does_not_come_back_in_the_admin(admin: Client, people: Any) -> None:
    User.objects.filter(pk=people["alice"].pk).update(username=f"deleted-{people['alice'].pk}", is_active=False)
    save(admin, people["alice"], is_active=True)
    assert not User.objects.get(pk=people["alice"].pk).is_active


def test_the_last_administrator_is_not_left_without_a_password(admin: Client, people: Any) -> None:
    User.objects.filter(pk=people["ada"].pk).update(role="viewer")
    second = User.objects.create_user("zoe", password=PASSWORD, role_id="admin")
    third = User.objects.create_user("yan", role_id="admin")  # came in by other means; no password
    admin.force_login(third)
    answer = admin.post(
        f"/admin/accounts/user/{second.pk}/password/", {"usable_password": "false", "unset-password": "1"}, follow=True
    )
    assert "Nobody would be left" in answer.content.decode()
    assert User.objects.get(pk=second.pk).has_usable_password()
    assert permissions.may(User.objects.get(pk=second.pk), "users.manage")


def test_the_admins_list_of_recent_actions_forgets_a_name(admin: Client, people: Any, api: Any) -> None:
    save(admin, people["alice"], first_name="Alice")
    assert LogEntry.objects.filter(object_repr="alice").exists()
    assert api("ada").delete("/api/v1/users/alice/", {"reason": "left"}).status_code == 204
    assert not LogEntry.objects.filter(object_repr__contains="alice").exists()


def test_a_group_that_goes_leaves_numbers_and_no_names_in_the_journal(api: Any, people: Any) -> None:
    api("ada").post("/api/v1/groups/", {"name": "crew", "members": ["alice"]})
    assert api("ada").delete("/api/v1/groups/crew/").status_code == 204
    row = JournalEntry.objects.filter(verb="group.members_changed").latest("pk")
    assert row.data["members"] == [[{"person": people["alice"].pk}], []]


@pytest.mark.parametrize("given", ["5", "null", "true", "[{}]", '[["robot.view"]]', "[1, 2]", '"robot.view"', "{}"])
def test_what_is_no_list_of_rights_is_said_at_the_field(given: str, api: Any) -> None:
    answer = api("ada").post("/api/v1/roles/", {"name": "night", "title": "Night", "permissions": json.loads(given)})
    assert answer.status_code == 400 and any(name.startswith("permissions") for name in answer.json()["errors"])
    assert not Role.objects.filter(pk="night").exists()


def test_a_new_role_gets_its_rights_in_the_matrix(admin: Client) -> None:
    form = {"name": "night", "title": "Night", "parent": "viewer", "permissions": '["users.manage"]'}
    answer = admin.post("/admin/accounts/role/add/", form)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/accounts/role/matrix/")
    assert Role.objects.get(pk="night").permissions == []


@pytest.mark.parametrize("name", ["matrix", "validation"])
def test_a_role_is_not_called_like_an_address(name: str, admin: Client, api: Any) -> None:
    answer = admin.post("/admin/accounts/role/add/", {"name": name, "title": "Night", "permissions": "[]"})
    assert "taken by an address" in answer.content.decode()
    answer = api("ada").post("/api/v1/roles/", {"name": name, "title": "Night"})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["name"])
    assert not Role.objects.filter(pk=name).exists()


@pytest.mark.parametrize(
    "table",
    [
        "username,role\nnina,viewer\n",
        "\ufeffusername;role;groups\r\nnina;viewer;\r\n",
        "username\trole\rnina\tviewer\r",
    ],
)
def test_a_table_as_spreadsheets_write_it_is_read(table: str, api: Any) -> None:
    answer = api("ada").post("/api/v1/users/import/", {"csv": table})
    assert (answer.status_code, answer.json()["applied"]) == (200, True), answer.json()
    assert User.objects.get(username="nina").role_id == "viewer"


def test_a_table_that_cannot_be_read_is_refused_in_words(api: Any) -> None:
    answer = api("ada").post("/api/v1/users/import/", {"csv": f"username,role\n{'n' * 131073},viewer\n"})
    assert answer.status_code == 400 and "field larger" in answer.json()["errors"]["csv"][0]
