"""Where somebody is signed in, and how that ends: for oneself, and for somebody else by an administrator."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts import sessions, tasks
from accounts.authentication import session_user
from accounts.models import ApiToken, JournalEntry, SignIn
from robotctl import events
from robotctl.tests.fixtures import PASSWORD
from robotctl.tests.told import about, number_of

pytestmark = pytest.mark.django_db(transaction=True)
MINE = "/api/v1/auth/sessions/"
EVERYWHERE = "/api/v1/auth/sign-out-everywhere/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def signed_in(name: str, **more: Any) -> Client:
    browser = Client(headers={"user-agent": FIREFOX}, REMOTE_ADDR="10.1.2.3")
    assert browser.post("/sign-in/", {"username": name, "password": PASSWORD}).status_code == 302
    return browser


def test_one_sees_where_one_is_signed_in_and_which_is_this_one(people: Any) -> None:
    here, there, bob = signed_in("alice"), signed_in("alice"), signed_in("bob")
    rows = here.get(MINE).json()["results"]
    assert [row["current"] for row in rows].count(True) == 1
    assert {(row["address"], row["browser"]) for row in rows} == {("10.1.2.3", "Firefox on Linux")}
    assert len(rows) == len(there.get(MINE).json()["results"]) == 2
    assert len(bob.get(MINE).json()["results"]) == 1
    assert (here.session.session_key or "") not in str(rows)
    assert Client().get(MINE).status_code == 401


def test_one_ends_a_session_of_ones_own_and_nobody_elses(people: Any) -> None:
    here, there, bob = signed_in("alice"), signed_in("alice"), signed_in("bob")
    (other,) = [row["id"] for row in here.get(MINE).json()["results"] if not row["current"]]
    assert bob.delete(f"{MINE}{other}/").status_code == 404
    assert Client().delete(f"{MINE}{other}/").status_code == 401
    assert there.get("/").status_code == 200
    assert here.delete(f"{MINE}{other}/").status_code == 204
    assert there.get("/").status_code == 302
    assert here.get("/").status_code == 200
    assert JournalEntry.objects.filter(verb="auth.session_ended", person_id=number_of("alice")).count() == 1


def test_ending_the_session_that_asks_signs_it_out(people: Any) -> None:
    here = signed_in("alice")
    (row,) = here.get(MINE).json()["results"]
    assert here.delete(f"{MINE}{row['id']}/").status_code == 204
    assert here.get("/").status_code == 302
    assert JournalEntry.objects.filter(verb="auth.signed_out").count() == 1


def test_signing_out_everywhere_ends_sessions_and_tokens_before_the_bell_rings(
    api: Any, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there, program, bob = signed_in("alice"), signed_in("alice"), api("alice"), api("bob")
    keys = list(SignIn.objects.filter(user=people["alice"]).values_list("session_key", flat=True))
    at_the_bell: list[Any] = []

    def hear(topic: str, _: str, data: Any) -> None:
        if topic == "rights":
            at_the_bell.append([data["user_id"], *map(session_user, keys)])

    monkeypatch.setattr(events, "publish", hear)
    answer = here.post(EVERYWHERE)
    assert (answer.status_code, answer.json()) == (200, {"sessions": 2, "tokens": 1})
    assert at_the_bell == [[people["alice"].pk, None, None]]
    assert [browser.get("/").status_code for browser in (here, there)] == [302, 302]
    assert program.get("/api/v1/auth/me/").status_code == 401
    assert bob.get("/api/v1/auth/me/").status_code == 200
    row = JournalEntry.objects.get(verb="auth.signed_out_everywhere")
    assert (about(row), row.actor_id, row.data) == ("alice", people["alice"].pk, {"sessions": 2, "api": 1})
    assert Client().post(EVERYWHERE).status_code == 401


def test_an_administrator_sees_and_ends_them_and_nobody_else_does(api: Any, people: Any) -> None:
    browser = signed_in("alice")
    for name, status in ((None, 401), ("bob", 403), ("otto", 403), ("alice", 403)):
        assert api(name).get("/api/v1/users/alice/sessions/").status_code == status
        assert api(name).post("/api/v1/users/alice/sign-out/").status_code == status
    assert browser.get("/").status_code == 200
    (row,) = api("ada").get("/api/v1/users/alice/sessions/").json()["results"]
    assert (row["current"], row["address"]) == (False, "10.1.2.3")
    assert api("ada").post("/api/v1/users/alice/sign-out/").json()["sessions"] == 1
    assert browser.get("/").status_code == 302
    assert not ApiToken.objects.filter(user=people["alice"]).exists()
    assert JournalEntry.objects.get(verb="auth.signed_out_everywhere").actor_id == people["ada"].pk
    assert api("ada").post("/api/v1/users/nobody/sign-out/").status_code == 404


def test_the_admin_signs_somebody_out_too(people: Any) -> None:
    browser, bob, ada = signed_in("alice"), signed_in("bob"), signed_in("ada")
    chosen = {"action": "sign_out", "_selected_action": [people["alice"].pk]}
    bob.post("/admin/accounts/user/", chosen)
    assert browser.get("/").status_code == 200
    assert ada.post("/admin/accounts/user/", chosen).status_code == 302
    assert browser.get("/").status_code == 302


def test_a_limited_token_does_nothing_about_the_account(api: Any, people: Any) -> None:
    _, token = ApiToken.objects.create(people["alice"], actions=["robot.view"])
    program = api(None)
    program.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    calls = (("get", MINE), ("post", EVERYWHERE), ("post", "/api/v1/auth/mfa/"), ("post", "/api/v1/auth/password/"))
    for method, path in calls:
        assert getattr(program, method)(path, {}, format="json").status_code == 403
    assert api("alice").get(MINE).status_code == 200


def test_the_row_goes_with_the_session_at_sign_out_and_at_its_end(people: Any) -> None:
    out, over = signed_in("alice"), signed_in("bob")
    out.post("/sign-out/")
    assert list(SignIn.objects.values_list("user__username", flat=True)) == ["bob"]
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert not sessions.of(people["bob"])
    tasks.forget_expired()
    assert not SignIn.objects.exists()
    assert over.get("/").status_code == 302


def test_last_seen_is_written_once_a_minute_and_not_by_a_stop(people: Any, robots: Any) -> None:
    robots("oht-01")
    browser, long_ago = signed_in("bob"), timezone.now() - timedelta(hours=1)
    SignIn.objects.update(last_seen_at=long_ago)
    assert browser.post("/api/v1/stop/", {}, content_type="application/json").status_code == 200
    assert SignIn.objects.get().last_seen_at == long_ago
    browser.get("/")
    seen = SignIn.objects.get().last_seen_at
    assert timezone.now() - seen < timedelta(seconds=30)
    browser.get("/")
    assert SignIn.objects.get().last_seen_at == seen


def test_stop_works_again_as_soon_as_one_is_back(api: Any, robots: Any, people: Any) -> None:
    robots("oht-01")
    browser = signed_in("bob")
    browser.post(EVERYWHERE)
    assert browser.post("/api/v1/stop/", {}, content_type="application/json").status_code == 401
    stopped = signed_in("bob").post("/api/v1/stop/", {}, content_type="application/json")
    assert [one["robot"] for one in stopped.json()["results"]] == ["oht-01"]
