"""Passwords: what is refused and in which words, what a change ends, and the duty to change one."""

import contextvars
import getpass
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, JournalEntry, SignIn, User
from robotctl import events
from robotctl.tests.fixtures import PASSWORD
from robotctl.tests.told import about

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/api/v1/auth/password/"
NEW = "seven-otters-paint-clocks"


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "too short"),
        ("wandering-heron7", "too similar"),
        ("password1234", "too common"),
        ("qwertyuiopasdf", "easy to guess"),
        ("Password2024!", "easy to guess"),
        ("aaaaaaaaaaaaaaaa", "easy to guess"),
        ("robotctl2026", "easy to guess"),
    ],
)
def test_what_people_who_guess_would_find_is_refused_in_plain_words(password: str, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        validate_password(password, User(username="wandering-heron"))
    assert words in " ".join(refused.value.messages)


def test_words_that_do_not_belong_together_are_taken_and_very_long_ones_checked_in_time(people: Any) -> None:
    validate_password(NEW, people["alice"])
    validate_password(NEW * 40, people["alice"])


def test_a_change_dates_it_and_ends_all_else_but_what_it_was_made_with(
    api: Any, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[Any] = []
    monkeypatch.setattr(events, "publish", lambda topic, kind, data: rung.append(data) if topic == "rights" else None)
    here, there, program, other = Client(), Client(), api("alice"), api("bob")
    for browser in (here, there):
        browser.force_login(people["alice"])
    answer = here.post(PATH, {"old_password": PASSWORD, "new_password": NEW}, content_type="application/json")
    assert answer.status_code == 200
    assert here.get("/api/v1/auth/me/").json()["username"] == "alice"
    assert there.get("/api/v1/auth/me/").status_code == 401
    assert program.get("/api/v1/auth/me/").status_code == 401
    assert other.get("/api/v1/auth/me/").status_code == 200
    assert {"user_id": people["alice"].pk} in rung
    assert SignIn.objects.get(user=people["alice"]).session_key == here.session.session_key
    changed = User.objects.get(username="alice").password_changed_at
    assert changed is not None
    assert changed > timezone.now() - timedelta(seconds=20)
    row = JournalEntry.objects.get(verb="auth.password_changed")
    assert (about(row), row.data) == ("alice", {"sessions": 1, "api": 1})
    assert NEW not in str(list(JournalEntry.objects.values()))


def test_a_change_with_a_token_keeps_that_token(api: Any) -> None:
    alice, again = api("alice"), api("alice")
    assert alice.post(PATH, {"old_password": PASSWORD, "new_password": NEW}, format="json").status_code == 200
    assert alice.get("/api/v1/auth/me/").status_code == 200
    assert again.get("/api/v1/auth/me/").status_code == 401


def test_neither_a_stranger_nor_the_old_password_again(api: Any) -> None:
    assert api(None).post(PATH, {"old_password": PASSWORD, "new_password": NEW}, format="json").status_code == 401
    same = api("alice").post(PATH, {"old_password": PASSWORD, "new_password": PASSWORD}, format="json")
    assert list(same.json()["errors"]) == ["new_password"]


# --- the duty to change it --------------------------------------------------------------------------------------------
@pytest.fixture
def bound(people: Any) -> Any:
    User.objects.filter(username="alice").update(must_change_password=True)
    return User.objects.get(username="alice")


def test_until_it_is_changed_the_api_is_closed_but_for_stop_and_the_way_on(api: Any, robots: Any, bound: Any) -> None:
    robots("oht-01")
    alice = api("alice")
    for method, path in (
        ("get", "robots/"), ("get", "robots/oht-01/state/"), ("post", "robots/oht-01/stop/reset/"), ("get", "auth/tokens/"),
        ("post", "auth/ws-ticket/"), ("post", "robots/oht-01/commands/"), ("post", "auth/mfa/"), ("get", "auth/sessions/"),
    ):  # fmt: skip
        answer = getattr(alice, method)(f"/api/v1/{path}", {}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (403, "password_change_required"), path
    assert alice.get("/api/v1/auth/me/").status_code == 200
    assert alice.post("/api/v1/auth/stop-ticket/").status_code == 200
    for path in ("stop/", "stop", "robots/oht-01/stop/", "robots/oht-01/stop"):
        stopped = alice.post(f"/api/v1/{path}", {}, format="json")
        assert [one["robot"] for one in stopped.json()["results"]] == ["oht-01"]
    assert alice.post(PATH, {"old_password": PASSWORD, "new_password": NEW}, format="json").status_code == 200
    assert alice.get("/api/v1/robots/oht-01/state/").status_code == 200


def test_pages_and_admin_lead_to_the_account_page_and_stop_and_sign_out_work(bound: Any, robots: Any) -> None:
    robots("oht-01")
    browser = Client()
    browser.force_login(bound)
    for path in ("/", "/robots/oht-01/", "/admin/", "/admin/firmware/robot/"):
        answer = browser.get(path)
        assert (answer.status_code, answer["Location"]) == (302, "/account/"), path
    page = browser.get("/account/")
    assert page.status_code == 200
    assert b"STOP ALL" in page.content
    assert browser.post("/api/v1/stop/", {}, content_type="application/json").status_code == 200
    assert browser.post("/sign-out/").status_code == 302


def test_no_socket_opens_for_who_has_to_change_it_first(bound: Any, people: Any) -> None:
    """What a consumer asks when it is opened, and again at every bell."""
    from realtime import protocol
    from realtime.consumers import LiveConsumer

    for name, code in (("alice", protocol.WITHDRAWN), ("bob", None)):
        consumer = LiveConsumer()
        consumer.token_digest = ApiToken.objects.create(people[name])[0].digest
        assert consumer._look_up()[1] == code


def test_a_password_that_an_administrator_sets_ends_sessions_and_must_be_changed(api: Any, people: Any) -> None:
    alice, ada = api("alice"), Client()
    ada.force_login(people["ada"])
    path = f"/admin/accounts/user/{people['alice'].pk}/password/"
    weak = ada.post(path, {"password1": "password1234", "password2": "password1234", "usable_password": "true"})
    assert weak.status_code == 200
    assert not User.objects.get(username="alice").must_change_password
    assert ada.post(path, {"password1": NEW, "password2": NEW, "usable_password": "true"}).status_code == 302
    assert User.objects.get(username="alice").must_change_password
    assert alice.get("/api/v1/auth/me/").status_code == 401
    assert ada.get("/admin/").status_code == 200
    assert JournalEntry.objects.get(verb="auth.password_set").actor_id == people["ada"].pk
    bob = Client()
    bob.force_login(people["bob"])
    assert bob.post(path, {"password1": NEW, "password2": NEW}).status_code == 302
    assert User.objects.get(username="alice").check_password(NEW)


def test_ones_own_is_not_changed_in_the_admin(people: Any) -> None:
    ada = Client()
    ada.force_login(people["ada"])
    for path in ("/admin/password_change/", f"/admin/accounts/user/{people['ada'].pk}/password/"):
        assert ada.get(path)["Location"] == "/account/"


def test_a_person_made_in_the_admin_has_to_change_the_password(people: Any) -> None:
    ada = Client()
    ada.force_login(people["ada"])
    body = {"username": "zoe", "role": "viewer", "usable_password": "true", "password1": NEW, "password2": NEW}
    assert ada.post("/admin/accounts/user/add/", body).status_code == 302
    assert User.objects.get(username="zoe").must_change_password


def test_a_password_set_at_a_terminal_is_told_with_the_users_name_there(people: Any) -> None:
    people["bob"].set_password(NEW)
    contextvars.Context().run(people["bob"].save)  # no request
    row = JournalEntry.objects.get(verb="auth.password_set")
    assert (row.person_id, row.actor_id, row.data) == (people["bob"].pk, None, {"os_user": getpass.getuser()})
