"""Roles and the matrix over the API: changed as one, refused where they would lie, in force at once."""

from typing import Any

import pytest

from accounts import matrix, roles
from accounts.models import JournalEntry, Role, User

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/roles/"


def make(api: Any, **more: Any) -> Any:
    body = {"name": "carrier", "title": "Carrier", "parent": "viewer", "permissions": ["robot.command"], **more}
    return api("ada").post(URL, body)


def test_a_role_inherits_and_the_matrix_shows_it_as_such(api: Any) -> None:
    assert make(api).status_code == 201
    shown = api("ada").get(f"{URL}matrix/").json()
    (row,) = [role for role in shown["roles"] if role["name"] == "carrier"]
    assert row["cells"]["robot.command"] == "own"
    assert row["cells"]["robot.view"] == "inherited"
    assert row["cells"]["robot.reset"] == "no"
    assert {action["name"] for action in shown["actions"]} == set(roles.ACTIONS)
    own = api("ada").get(f"{URL}carrier/permissions/").json()
    assert own["own"] == ["robot.command"] and "robot.stop" in own["inherited"]


def test_a_change_is_in_force_at_once_and_journalled_with_before_and_after(api: Any, people: Any) -> None:
    make(api)
    User.objects.filter(username="charlie").update(role="carrier")
    assert "robot.jog" not in api("charlie").get("/api/v1/auth/me/").json()["rights"]
    changed = api("ada").put(f"{URL}carrier/permissions/", {"permissions": ["robot.command", "robot.jog"]})
    assert changed.status_code == 200
    assert "robot.jog" in api("charlie").get("/api/v1/auth/me/").json()["rights"]
    told = JournalEntry.objects.filter(verb="role.changed").latest("pk")
    assert told.actor_id == people["ada"].pk
    before, after = told.data["changes"]["permissions"]
    assert "robot.jog" not in before and "robot.jog" in after


@pytest.mark.parametrize("parent", ["carrier", "under"])
def test_a_cycle_is_refused(parent: str, api: Any) -> None:
    make(api)
    make(api, name="under", parent="carrier")
    answer = api("ada").patch(f"{URL}carrier/", {"parent": parent})
    assert answer.status_code == 400 and "parent" in answer.json()["errors"]
    assert Role.objects.get(pk="carrier").parent_id == "viewer"


@pytest.mark.parametrize("body", [{"permissions": []}, {"permissions": ["users.manage"]}])
def test_a_role_change_cannot_take_the_last_administrator_away(body: Any, api: Any) -> None:
    answer = api("ada").patch(f"{URL}admin/", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "last_admin")
    assert "roles.manage" in Role.objects.get(pk="admin").permissions


def test_seeing_and_stopping_cannot_be_parted(api: Any, people: Any) -> None:
    make(api, name="looker", parent="guest", permissions=["robot.view"])
    User.objects.filter(username="charlie").update(role="looker")
    assert {"robot.view", "robot.stop"} <= set(api("charlie").get("/api/v1/auth/me/").json()["rights"])
    assert matrix.cell("looker", "robot.stop", Role.table()) == "follows"


@pytest.mark.parametrize(("body", "field"), [
    ({"permissions": ["robot.fly"]}, "permissions.0"), ({"name": "Cap Tain"}, "name"), ({"parent": "king"}, "parent"),
    ({"title": ""}, "title"), ({"name": "viewer"}, "name"), ({"name": "matrix"}, "name"),
])  # fmt: skip
def test_bad_input_is_refused_in_the_fields_own_words(body: Any, field: str, api: Any) -> None:
    answer = make(api, **body)
    assert answer.status_code == 400 and field in answer.json()["errors"], answer.json()


@pytest.mark.parametrize(("name", "code"), [("viewer", "built_in"), ("carrier", "in_use")])
def test_a_role_that_is_needed_is_not_deleted(name: str, code: str, api: Any, people: Any) -> None:
    make(api)
    User.objects.filter(username="charlie").update(role="carrier")
    answer = api("ada").delete(f"{URL}{name}/")
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    User.objects.filter(username="charlie").update(role="guest")
    assert api("ada").delete(f"{URL}carrier/").status_code == 204


def test_what_was_exported_is_imported_all_or_nothing(api: Any) -> None:
    make(api)
    table = api("ada").get(f"{URL}matrix/").json()
    api("ada").patch(f"{URL}carrier/", {"permissions": []})
    api("ada").patch(f"{URL}viewer/", {"title": "Watcher"})
    assert api("ada").put(f"{URL}matrix/", table).json() == table
    rows = table["roles"]
    rows[-1]["permissions"] = ["robot.fly"]
    rows[0]["title"] = "Nobody"
    assert api("ada").put(f"{URL}matrix/", {"roles": rows}).status_code == 400
    rows[-1]["permissions"], rows[-1]["parent"] = [], "king"
    assert api("ada").put(f"{URL}matrix/", {"roles": rows}).status_code == 400
    assert Role.objects.get(pk="guest").title == "Guest"


def test_the_validation_finds_what_is_odd(api: Any) -> None:
    make(api, name="blind", parent=None, permissions=["robot.command", "alerts.resolve"])
    make(api, name="twice", parent="operator", permissions=["robot.command"])
    found = api("ada").get(f"{URL}validation/").json()["findings"]
    told = {(one["kind"], one["role"], one["action"]) for one in found}
    assert ("contradiction", "blind", "robot.view") in told
    assert ("contradiction", "blind", "alerts.view") in told
    assert ("redundant", "twice", "robot.command") in told
    assert ("orphan", "blind", None) in told
    User.objects.filter(username__in=["erin", "ada"]).update(role="viewer")
    assert {"unreachable"} <= {one["kind"] for one in matrix.validation()}


def test_nobody_gives_a_role_with_more_rights_than_they_hold(api: Any, people: Any) -> None:
    make(api, name="clerk", parent="viewer", permissions=["users.manage", "users.view"])
    User.objects.filter(username="charlie").update(role="clerk")
    assert api("charlie").patch("/api/v1/users/bob/", {"role": "guest"}).status_code == 200
    assert api("charlie").patch("/api/v1/users/charlie/", {"role": "admin"}).json()["code"] == "beyond_own_rights"
    assert api("charlie").patch("/api/v1/users/ada/", {"is_active": False}).json()["code"] == "beyond_own_rights"


def test_a_right_that_was_taken_from_all_can_be_given_back(api: Any) -> None:
    own = api("ada").get(f"{URL}operator/permissions/").json()["own"]
    path = f"{URL}operator/permissions/"
    assert api("ada").put(path, {"permissions": [one for one in own if one != "robot.jog"]}).status_code == 200
    assert "robot.jog" not in api("ada").get("/api/v1/auth/me/").json()["rights"]
    assert api("ada").put(path, {"permissions": own}).status_code == 200


@pytest.mark.parametrize(("who", "look", "change"), [(None, 401, 401), ("alice", 403, 403), ("otto", 200, 403)])
def test_who_may_not(who: str | None, look: int, change: int, api: Any) -> None:
    for path in ("", "matrix/", "validation/", "viewer/", "viewer/permissions/"):
        assert api(who).get(f"{URL}{path}").status_code == look, path
    assert api(who).post(URL, {"name": "x", "title": "X"}).status_code == change
    assert api(who).patch(f"{URL}viewer/", {"title": "X"}).status_code == change
    assert api(who).put(f"{URL}matrix/", {"roles": []}).status_code == change
    assert api(who).delete(f"{URL}viewer/").status_code == change


def test_roles_that_change_places_are_imported(api: Any) -> None:
    make(api, name="ra", parent=None, permissions=[])
    make(api, name="rb", parent="ra", permissions=[])
    rows = {row["name"]: row for row in api("ada").get(f"{URL}matrix/").json()["roles"]}
    rows["ra"]["parent"], rows["rb"]["parent"] = "rb", None
    assert api("ada").put(f"{URL}matrix/", {"roles": [rows["ra"], rows["rb"]]}).status_code == 200
    assert Role.objects.get(pk="ra").parent_id == "rb"
    told = JournalEntry.objects.filter(verb="role.changed", target="ra").latest("pk")
    assert told.data["changes"]["parent"] == [None, "rb"]
    rows["rb"]["parent"] = "ra"
    assert api("ada").put(f"{URL}matrix/", {"roles": list(rows.values())}).status_code == 400
    assert Role.objects.get(pk="rb").parent_id is None
