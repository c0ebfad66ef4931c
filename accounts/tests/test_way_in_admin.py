"""A person's way in, groups of people, and people as a table: in the admin, as much as in the API and no more."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts import permissions, second_factor
from accounts.models import ApiToken, Authenticator, JournalEntry, Role, SignIn, User
from robotctl.tests.fixtures import PASSWORD
from robotctl.tests.system import register

pytestmark = pytest.mark.django_db(transaction=True)
TABLE = "/admin/accounts/user/table/"


@pytest.fixture
def admin(people: Any) -> Client:
    client = Client()
    client.force_login(people["ada"])
    return client


@pytest.fixture
def deputy(people: Any) -> Client:
    """May manage people, and has less than an engineer."""
    Role.objects.create(name="deputy", title="Deputy", parent_id="viewer", permissions=["users.view", "users.manage"])
    client = Client()
    client.force_login(User.objects.create(username="dora", role_id="deputy"))
    return client


def way(person: User) -> str:
    return f"/admin/accounts/user/{person.pk}/way-in/"


def said(answer: Any) -> str:
    return str(answer.content.decode())


def test_it_shows_where_somebody_is_in_and_what_they_did_lately(admin: Client, api: Any, people: Any) -> None:
    browser = Client(headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0"})
    browser.post("/sign-in/", {"username": "alice", "password": PASSWORD})
    api("alice").get("/api/v1/auth/me/")
    shown = said(admin.get(way(people["alice"])))
    assert "Firefox on Linux" in shown and "127.0.0.1" in shown and "1 API token." in shown
    assert re.search(r"<td>auth.sign_in</td>|<td>auth.signed_in</td>", shown), "what they did lately"
    assert "Way in" in said(admin.get(f"/admin/accounts/user/{people['alice'].pk}/change/"))


def test_signing_somebody_out_there_ends_it_all(admin: Client, api: Any, people: Any) -> None:
    browser, token = Client(), api("alice")
    browser.post("/sign-in/", {"username": "alice", "password": PASSWORD})
    answer = admin.post(way(people["alice"]), {"do": "sign_out"}, follow=True)
    assert "1 browser(s) and 1 token(s) ended" in said(answer)
    assert not SignIn.objects.filter(user=people["alice"]).exists()
    assert not ApiToken.objects.filter(user=people["alice"]).exists()
    assert browser.get("/api/v1/auth/me/").status_code == token.get("/api/v1/auth/me/").status_code == 401


def test_a_link_is_shown_once_and_lets_its_person_in(admin: Client, people: Any) -> None:
    new = User.objects.create(username="nina", role_id="viewer")
    new.set_unusable_password()
    new.save()
    answer = admin.post(way(new), {"do": "link"})
    assert "no-store" in answer["Cache-Control"] and "The invitation" in said(answer)
    link = re.search(r'readonly value="(http[^"]+)"', said(answer))
    assert link and link[1] not in said(admin.get(way(new)))
    told = JournalEntry.objects.get(verb="auth.link_issued")
    assert told.data["kind"] == "invite" and link[1] not in str(told.data)
    assert Client().get(link[1], follow=True).status_code == 200
    User.objects.filter(pk=new.pk).update(is_active=False)
    assert "deactivated" in said(admin.post(way(new), {"do": "link"}, follow=True))


def test_a_second_factor_is_removed_with_a_reason_only(admin: Client, people: Any) -> None:
    alice = people["alice"]
    Authenticator.objects.create(user=alice, confirmed=True, key="00" * 20)
    assert "needs a reason" in said(admin.post(way(alice), {"do": "factor", "reason": " "}, follow=True))
    assert second_factor.is_enabled(alice)
    admin.post(way(alice), {"do": "factor", "reason": "lost her telephone"})
    assert not second_factor.is_enabled(alice)
    assert JournalEntry.objects.get(verb="auth.factor_removed").reason == "lost her telephone"


@pytest.mark.parametrize("what", ["link", "factor", "sign_out", "unlock"])
def test_whoever_holds_less_does_nothing_about_them(deputy: Client, api: Any, people: Any, what: str) -> None:
    api("erin").get("/api/v1/auth/me/")
    answer = deputy.post(way(people["erin"]), {"do": what, "reason": "mine now"}, follow=True)
    assert "rights that you do not have" in said(answer) and 'id="way-link"' not in said(answer)
    assert deputy.get(way(people["erin"])).status_code == 302, "nor looks where they are in"
    assert ApiToken.objects.filter(user=people["erin"]).exists()
    assert not JournalEntry.objects.filter(verb__in=["auth.link_issued", "auth.signed_out_everywhere"]).exists()


@pytest.mark.parametrize("what", ["link", "factor", "unlock"])
def test_ones_own_is_on_the_account_page(admin: Client, people: Any, what: str) -> None:
    answer = admin.post(way(people["ada"]), {"do": what, "reason": "x"}, follow=True)
    assert "on the account page" in said(answer) and 'id="way-link"' not in said(answer)


def test_strangers_watchers_and_odd_addresses(admin: Client, people: Any) -> None:
    watcher = Client()
    watcher.force_login(people["otto"])
    assert watcher.get(way(people["alice"])).status_code == 403
    assert watcher.post(TABLE, {"table": "username,role\nnina,viewer\n", "apply": ""}).status_code == 403
    assert Client().get(way(people["alice"])).status_code == 302
    for odd in ("0", "x", "9" * 30, "1/2"):
        assert admin.get(f"/admin/accounts/user/{odd}/way-in/").status_code == 404, odd
    assert "Nothing was asked for" in said(admin.post(way(people["alice"]), {"do": "fly"}, follow=True))


def test_a_table_is_checked_then_brought_in(admin: Client) -> None:
    table = "username,role\nnina,viewer\nalice,engineer\nbob,viewer\n"
    told = said(admin.post(TABLE, {"table": table, "check": ""}))
    assert "All 3 rows can be brought in: 2 would change something" in told and "nina,viewer" in told
    assert not User.objects.filter(username="nina").exists()
    told = said(admin.post(TABLE, {"table": table, "apply": ""}))
    assert "Brought in: 2 of 3 rows" in told
    assert User.objects.get(username="nina").role_id == "viewer"
    assert User.objects.get(username="alice").role_id == "engineer"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"table": "username,role\nnina,pilot\n"}, "1 row of 1 cannot be brought in"),
        ({"table": "username,wage\nnina,5\n"}, "Unknown columns: wage."),
        ({"table": "username,role\n"}, "a head and no rows"),
        ({"table": " "}, "Paste a table, or choose a file."),
        ({"file": SimpleUploadedFile("p.csv", b"username,role\n\xff\xfe,viewer\n")}, "no text in UTF-8"),
        ({"table": f"username,role\n{'n' * 131073},viewer\n"}, "no table that can be read"),
        ({"table": "username,role\nnina,viewer,nina@example.org\n"}, "Line 2 has more cells than the head has columns"),
    ],
)
def test_what_cannot_be_brought_in_is_said_and_changes_nothing(admin: Client, form: Any, words: str) -> None:
    before = User.objects.count()
    assert words in said(admin.post(TABLE, {**form, "apply": ""}))
    assert User.objects.count() == before


def test_nothing_is_brought_in_unless_it_is_asked_for(admin: Client) -> None:
    assert "Nothing is changed yet" in said(admin.post(TABLE, {"table": "username,role\nnina,viewer\n"}))
    assert not User.objects.filter(username="nina").exists()


def test_cells_that_a_short_row_does_not_have_stay_as_they_are(admin: Client, people: Any) -> None:
    User.objects.filter(pk=people["alice"].pk).update(email="alice@example.org")
    told = said(admin.post(TABLE, {"table": "username,role,email\nalice,engineer\n", "apply": ""}))
    assert "Brought in: 1 of 1 rows" in told
    assert User.objects.get(username="alice").email == "alice@example.org"


@pytest.mark.parametrize("who", ["erin", "dora"])
def test_the_lists_unlock_asks_the_rank_too(deputy: Client, people: Any, who: str) -> None:
    chosen = {"action": "unlock", "_selected_action": [User.objects.get(username=who).pk]}
    deputy.post("/admin/accounts/user/", chosen, follow=True)
    assert not JournalEntry.objects.filter(verb="auth.unlocked").exists()
    answer = deputy.post(f"/api/v1/users/{who}/unlock/", {}, content_type="application/json")
    assert answer.status_code == (403 if who == "erin" else 409)


def test_a_file_is_taken_as_well(admin: Client) -> None:
    file = SimpleUploadedFile("people.csv", "\ufeffusername;role\r\nnina;viewer\r\n".encode())
    assert "Brought in: 1 of 1 rows" in said(admin.post(TABLE, {"file": file, "apply": ""}))


def test_a_group_of_people_is_made_changed_and_ended(admin: Client, people: Any) -> None:
    robot = register("oht-01", "http://127.0.0.1:9")
    add = "/admin/auth/group/add/"
    assert admin.post(add, {"name": "crew", "members": [people["charlie"].pk]}).status_code == 302
    crew = Group.objects.get(name="crew")
    permissions.grant(robot, role=Role.objects.get(pk="operator"), holder=crew, by=None, reason="shift")
    assert permissions.may(User.objects.get(username="charlie"), "robot.command", robot)
    assert str(people["charlie"].pk) in said(admin.get(f"/admin/auth/group/{crew.pk}/change/"))
    admin.post(f"/admin/auth/group/{crew.pk}/change/", {"name": "crew", "members": [people["bob"].pk]})
    assert not permissions.may(User.objects.get(username="charlie"), "robot.command", robot)
    assert permissions.may(User.objects.get(username="bob"), "robot.command", robot)
    told = JournalEntry.objects.filter(verb="group.members_changed").latest("pk")
    assert told.data["members"] == [[{"person": people["charlie"].pk}], [{"person": people["bob"].pk}]]
    admin.post(f"/admin/auth/group/{crew.pk}/delete/", {"post": "yes"})
    assert not Group.objects.exists() and not permissions.may(User.objects.get(username="bob"), "robot.command", robot)


def test_nobody_takes_somebody_out_of_a_group_that_has_more_than_they(deputy: Client, people: Any) -> None:
    robot, bob = register("oht-01", "http://127.0.0.1:9"), people["bob"]
    crew = Group.objects.create(name="crew")
    crew.user_set.add(bob)
    permissions.grant(robot, role=Role.objects.get(pk="engineer"), holder=crew, by=None, reason="belts")
    answer = deputy.post(f"/admin/auth/group/{crew.pk}/change/", {"name": "crew"}, follow=True)
    assert "Not saved." in said(answer)
    answer = deputy.patch("/api/v1/groups/crew/", {"members": []}, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "beyond_own_rights")
    assert permissions.may(User.objects.get(username="bob"), "robot.jog", robot)


def test_nobody_adds_somebody_to_a_group_that_has_more_than_they(deputy: Client, people: Any) -> None:
    robot = register("oht-01", "http://127.0.0.1:9")
    crew = Group.objects.create(name="crew")
    permissions.grant(robot, role=Role.objects.get(pk="engineer"), holder=crew, by=None, reason="belts")
    answer = deputy.post(
        f"/admin/auth/group/{crew.pk}/change/", {"name": "crew", "members": [people["charlie"].pk]}, follow=True
    )
    assert "Not saved." in said(answer) and not crew.user_set.exists()
