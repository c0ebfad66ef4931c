"""People over the API: made, changed at once, exchanged as a table, and forgotten without losing the record."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import journal, user_import
from accounts.models import ApiToken, Grant, JournalEntry, JournalOrigin, Role, User
from firmware.models import Command
from robotctl.problems import Problem
from robotctl.tests.fixtures import PASSWORD
from robotctl.tests.told import number_of

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/users/"
NEW = {"username": "dora", "password": "a long enough phrase", "role": "operator", "email": "dora@example.org"}


def test_a_person_is_made_and_signs_in(api: Any) -> None:
    made = api("ada").post(URL, NEW)
    assert (made.status_code, made.json()["role"], made.json()["is_active"]) == (201, "operator", True)
    assert "password" not in made.json()
    signed = api(None).post("/api/v1/auth/login/", {"username": "dora", "password": NEW["password"]})
    assert signed.status_code == 200
    told = JournalEntry.objects.get(verb="user.created", person_id=number_of("dora"))
    assert NEW["password"] not in str(told.data) and "argon2" not in str(told.data)


@pytest.mark.parametrize(("body", "field"), [
    ({"password": "short"}, "password"), ({"password": "password1234"}, "password"), ({"role": "king"}, "role"),
    ({"email": "nope"}, "email"), ({"username": "alice"}, "username"), ({"username": "a b"}, "username"),
    ({"groups": ["none"]}, "groups"), ({"is_active": "maybe"}, "is_active"),
])  # fmt: skip
def test_bad_input_is_refused_in_the_fields_own_words(body: Any, field: str, api: Any) -> None:
    answer = api("ada").post(URL, NEW | body)
    assert answer.status_code == 400 and field in answer.json()["errors"], answer.json()
    assert not User.objects.filter(username="dora").exists()


def test_a_deactivated_person_is_out_at_once(api: Any, people: Any) -> None:
    alice = api("alice")
    assert alice.get("/api/v1/robots/").status_code == 200
    assert api("ada").patch(f"{URL}alice/", {"is_active": False}).status_code == 200
    assert alice.get("/api/v1/robots/").status_code == 401
    assert api(None).post("/api/v1/auth/login/", {"username": "alice", "password": PASSWORD}).status_code == 401
    assert JournalEntry.objects.get(verb="user.changed").data["changes"]["is_active"] == ["True", "False"]


@pytest.mark.parametrize("body", [{"role": "viewer"}, {"is_active": False}])
def test_the_last_administrator_stays(body: Any, api: Any, people: Any) -> None:
    User.objects.create_user("root", password=PASSWORD, role_id="admin", is_active=False)
    code = "yourself" if "is_active" in body else "last_admin"
    answer = api("ada").patch(f"{URL}ada/", body)
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert User.objects.get(username="ada").role_id == "admin"


def test_of_two_administrators_who_demote_each_other_one_stays(api: Any, people: Any) -> None:
    import threading

    User.objects.filter(username="erin").update(role="admin")
    answers = []
    work = [
        threading.Thread(target=lambda who=who, other=other: answers.append(_demote(api, who, other)))
        for who, other in (("ada", "erin"), ("erin", "ada"))
    ]
    for one in work:
        one.start()
    for one in work:
        one.join()
    assert User.objects.filter(role="admin", is_active=True).count() == 1, answers


def _demote(api: Any, who: str, other: str) -> int:
    from django.db import connections

    try:
        return int(api(who).patch(f"{URL}{other}/", {"role": "viewer"}).status_code)
    finally:
        connections.close_all()


def test_a_person_who_is_deleted_leaves_the_record_and_no_name(api: Any, robots: Any, people: Any) -> None:
    robots()
    row = api("alice").send("oht-01", "move", {"target_m": 10.2}, wait_s=8).json()
    give = {"user": "alice", "role": "engineer", "reason": "week"}
    api("ada").post("/api/v1/robots/oht-01/access/", give)
    api("ada").patch(f"{URL}alice/", {"email": "alice@example.org"})
    api("bob").patch(f"{URL}alice/", {"email": "x@example.org"})  # refused, and her name is in the address
    rows = JournalEntry.objects.filter(actor_id=people["alice"].pk).count()
    assert rows and JournalOrigin.objects.filter(person_id=people["alice"].pk).exists()
    answer = api("ada").delete(f"{URL}alice/", {"reason": "left the company"})
    assert answer.status_code == 204
    gone = User.objects.get(pk=people["alice"].pk)
    assert (gone.username, gone.email, gone.is_active) == (f"deleted-{gone.pk}", "", False)
    assert not Grant.objects.filter(user=gone).exists() and not ApiToken.objects.filter(user=gone).exists()
    assert not JournalOrigin.objects.filter(person_id=people["alice"].pk).exists()
    assert JournalEntry.objects.filter(actor_id=gone.pk).count() == rows, "the record stays"
    assert Command.objects.get(pk=row["id"]).requested_by_id == gone.pk
    state = api("bob").get("/api/v1/robots/oht-01/state/").json()
    assert state["lease"]["holder"] in (None, gone.username)
    assert b"alice" not in api("ada").get("/api/v1/journal/?page_size=200").content
    assert "alice" not in str(list(JournalEntry.objects.values()))


def test_one_sees_and_changes_oneself_and_not_ones_role(api: Any, people: Any) -> None:
    mine = f"{URL}alice/"
    assert api("alice").get(mine).json()["role"] == "operator"
    assert api("alice").patch(mine, {"email": "alice@example.org"}).json()["email"] == "alice@example.org"
    assert api("alice").patch(mine, {"role": "admin"}).status_code == 403
    assert api("alice").patch(mine, {"email": "x@example.org", "is_active": False}).status_code == 403
    assert User.objects.get(username="alice").email == "alice@example.org"


def test_the_record_tells_what_somebody_did_lately(api: Any, robots: Any) -> None:
    robots()
    api("alice").send("oht-01", "move", {"target_m": 10.2}, wait_s=8)
    api("alice").send("oht-01", "move", {"target_m": 900})
    told = api("ada").get(f"{URL}alice/activity/").json()
    acts = {(act["verb"], act["outcome"]): act["count"] for act in told["acts"]}
    assert acts[("command.confirmed", "ok")] == 1 and acts[("command.refused", "denied")] == 1
    assert told["last_at"] is not None


def test_people_go_out_and_come_in_as_a_table(api: Any, people: Any) -> None:
    Group.objects.create(name="shift a")
    api("ada").patch(f"{URL}alice/", {"groups": ["shift a"], "first_name": "=1+1"})
    out = api("ada").get(f"{URL}export/?as=csv")
    assert out["Content-Type"].startswith("text/csv") and b"'=1+1" in out.content and b"argon2" not in out.content
    assert api("ada").post(f"{URL}import/", {"csv": out.content.decode()}).json()["applied"]
    assert User.objects.get(username="alice").first_name == "=1+1", "nothing has changed"
    rows = api("ada").get(f"{URL}export/").json()["users"]
    rows.append({"username": "dora", "role": "viewer"})
    rows[1]["role"] = "operator"
    dry = api("ada").post(f"{URL}import/", {"users": rows, "dry_run": True}).json()
    assert not dry["applied"] and [row["does"] for row in dry["rows"]].count("create") == 1
    assert not User.objects.filter(username="dora").exists()
    wrong = [*rows, {"username": "eve", "role": "king"}, {"username": ""}]
    refused = api("ada").post(f"{URL}import/", {"users": wrong}).json()
    assert (
        not refused["applied"] and refused["rows"][-2]["errors"]["role"] and refused["rows"][-1]["errors"]["username"]
    )
    assert not User.objects.filter(username="dora").exists(), "all or none"
    assert api("ada").post(f"{URL}import/", {"users": rows}).json()["applied"]
    assert not User.objects.get(username="dora").has_usable_password()


def test_groups_of_people_hold_grants_together(api: Any, robots: Any) -> None:
    robots(read=False)
    assert api("ada").post("/api/v1/groups/", {"name": "shift a", "members": ["charlie"]}).status_code == 201
    give = {"group": "shift a", "role": "viewer", "reason": "shift"}
    assert api("ada").post("/api/v1/robots/oht-01/access/", give).status_code == 201
    assert api("charlie").get("/api/v1/robots/oht-01/").status_code == 200
    assert api("ada").patch("/api/v1/groups/shift a/", {"members": []}).status_code == 200
    assert api("charlie").get("/api/v1/robots/oht-01/").status_code == 404
    told = JournalEntry.objects.filter(verb="group.members_changed").latest("pk")
    assert journal.as_dicts([told])[0]["data"]["members"] == [["charlie"], []]
    api("ada").patch("/api/v1/groups/shift a/", {"members": ["charlie"]})
    assert api("ada").delete("/api/v1/groups/shift a/").status_code == 204
    assert api("charlie").get("/api/v1/robots/oht-01/").status_code == 404 and not Grant.objects.exists()


@pytest.mark.parametrize(("who", "look", "change"), [(None, 401, 401), ("erin", 403, 403), ("otto", 200, 403)])
def test_who_may_not(who: str | None, look: int, change: int, api: Any) -> None:
    for path in ("", "bob/", "bob/activity/", "export/"):
        assert api(who).get(f"{URL}{path}").status_code == look, path
    assert api(who).post(URL, NEW).status_code == change
    assert api(who).patch(f"{URL}bob/", {"role": "admin"}).status_code == change
    assert api(who).delete(f"{URL}bob/", {"reason": "x"}).status_code == change
    assert api(who).post(f"{URL}import/", {"users": []}).status_code == change
    assert api(who).get("/api/v1/groups/").status_code == change
    assert api(who).post("/api/v1/groups/", {"name": "x"}).status_code == change


def test_a_table_is_checked_whole_and_written_in_few_statements(api: Any, people: Any) -> None:
    Group.objects.create(name="crew")

    def statements(rows: list[dict[str, Any]]) -> int:
        with CaptureQueriesContext(connection) as captured:
            answer = api("ada").post(f"{URL}import/", {"users": rows}).json()
        assert answer["applied"], answer
        changes = ("INSERT", "UPDATE", "DELETE")
        return sum(one["sql"].startswith(changes) and "journal" not in one["sql"] for one in captured)

    def table(letter: str, count: int, **more: Any) -> list[dict[str, Any]]:
        return [{"username": f"{letter}{number}", "role": "viewer", **more} for number in range(count)]

    few = statements(table("a", 2, groups=["crew"]))
    assert statements(table("b", 60, groups=["crew"])) == few
    changed = {"role": "operator", "groups": [], "is_active": False}
    assert statements(table("b", 60, **changed)) == statements(table("a", 2, **changed))
    person = User.objects.get(username="b59")
    assert (person.role_id, person.is_active, person.groups.count()) == ("operator", False, 0)
    assert person.date_joined is not None and not person.has_usable_password()
    told = JournalEntry.objects.filter(person_id=person.pk).order_by("pk").values_list("verb", "data")
    assert [verb for verb, _ in told] == ["user.created", "user.groups_changed", "user.changed", "user.groups_changed"]
    assert told[2][1]["changes"] == {"role": ["viewer", "operator"], "is_active": ["True", "False"]}


def test_a_table_changes_nobody_who_holds_more_and_nothing_twice(api: Any, people: Any) -> None:
    Role.objects.create(name="clerk", title="Clerk", parent_id="viewer", permissions=["users.view", "users.manage"])
    User.objects.filter(username="bob").update(role="clerk")
    rows = [
        {"username": "ada", "role": "viewer"}, {"username": "new", "role": "operator"}, {"username": "ALICE", "role": "viewer"},
        {"username": "fine", "role": "viewer"}, {"username": "Fine", "role": "viewer"}, {"username": "bob", "role": "viewer",
        "is_active": False},
    ]  # fmt: skip
    told = api("bob").post(f"{URL}import/", {"users": rows}).json()
    wrong = {row["username"]: " ".join(map(str, row["errors"].values())) for row in told["rows"] if row["errors"]}
    assert set(wrong) == {"ada", "new", "ALICE", "Fine", "bob"} and not told["applied"], told
    assert "do not have" in wrong["ada"] and "do not have" in wrong["new"] and "yourself" in wrong["bob"]
    assert not User.objects.filter(username__in=["new", "fine"]).exists()
    last = api("ada").post(f"{URL}import/", {"users": [{"username": "ada", "role": "viewer"}]})
    assert (last.status_code, last.json()["code"]) == (409, "last_admin")
    assert User.objects.get(username="ada").role_id == "admin"


def test_a_table_that_was_judged_by_what_is_no_longer_so_is_not_taken(api: Any, people: Any) -> None:
    known = user_import.look()
    reading = user_import._Reading(known, people["ada"])
    assert not reading.row(1, {"username": "new", "role": "operator"})["errors"]
    api("ada").patch("/api/v1/roles/operator/", {"permissions": ["roles.manage"]})
    with pytest.raises(Problem, match="meanwhile"):
        user_import._write(reading.plan, known, dry_run=False)
    assert not User.objects.filter(username="new").exists()
