"""Signing in and out: tokens, sessions, and what the journal says of it."""

import threading
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.db import transaction
from django.test import Client

from accounts import hashing
from accounts.authentication import session_user
from accounts.models import ApiToken, JournalEntry, User
from robotctl import events
from robotctl.tests.fixtures import PASSWORD
from robotctl.tests.told import about, number_of

pytestmark = pytest.mark.django_db(transaction=True)
LOGIN = "/api/v1/auth/login/"


def test_a_password_becomes_a_token_that_expires_and_says_who_one_is(api: Any) -> None:
    answer = api(None).post(LOGIN, {"username": "alice", "password": PASSWORD}, format="json")
    assert answer.status_code == 200
    assert set(answer.json()) == {"token", "expires_at", "user"}
    me = api(None)
    me.credentials(HTTP_AUTHORIZATION=f"Token {answer.json()['token']}")
    assert me.get("/api/v1/auth/me/").json()["role"] == "operator"
    assert me.post("/api/v1/auth/logout/").status_code == 200
    assert me.get("/api/v1/auth/me/").status_code == 401
    assert list(JournalEntry.objects.order_by("pk").values_list("verb", flat=True))[-3:] == [
        "auth.token_issued",
        "auth.signed_out",
        "access.unauthenticated",
    ]


def test_a_wrong_password_is_401_with_a_challenge_and_a_row_without_the_password(api: Any) -> None:
    answer = api(None).post(LOGIN, {"username": "alice", "password": "wrong-horse"}, format="json")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Token")
    row = JournalEntry.objects.get(verb="auth.sign_in_failed")
    assert (about(row), row.outcome) == ("alice", "denied")
    assert "wrong-horse" not in str(list(JournalEntry.objects.values()))


def test_a_stranger_gets_401_with_a_challenge_and_one_row_a_minute(api: Any) -> None:
    for _ in range(5):
        answer = api(None).get("/api/v1/robots/")
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == "Token"
        assert answer.json()["code"] == "not_authenticated"
    assert JournalEntry.objects.filter(verb="access.unauthenticated").count() == 1


def test_an_expired_token_and_one_of_a_deactivated_person_are_refused(api: Any, people: Any) -> None:
    from datetime import timedelta

    _, token = ApiToken.objects.create(people["alice"], expiry=timedelta(seconds=-1))
    client = api(None)
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    assert client.get("/api/v1/auth/me/").status_code == 401
    bob = api("bob")
    User.objects.filter(username="bob").update(is_active=False)
    assert bob.get("/api/v1/auth/me/").status_code == 401


def test_tokens_are_named_shown_once_and_revocable_by_their_owner_only(api: Any) -> None:
    alice = api("alice")
    made = alice.post("/api/v1/auth/tokens/", {"name": "cell gateway"}, format="json")
    assert made.status_code == 201
    gateway = api(None)
    gateway.credentials(HTTP_AUTHORIZATION=f"Token {made.json()['token']}")
    assert gateway.get("/api/v1/auth/me/").json()["username"] == "alice"
    listed = alice.get("/api/v1/auth/tokens/")
    assert made.json()["token"] not in listed.content.decode()
    path = f"/api/v1/auth/tokens/{made.json()['id']}/"
    assert api("bob").delete(path).status_code == 404
    assert api(None).delete(path).status_code == 401
    assert alice.delete(path).status_code == 204
    assert gateway.get("/api/v1/auth/me/").status_code == 401


def test_no_test_token_or_default_password_opens_anything(api: Any) -> None:
    for token in ("test", "admin", "oht50_admin_token_2025", "test_token_admin"):
        client = api(None)
        client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        assert client.get("/api/v1/auth/me/").status_code == 401


def test_a_browser_session_works_with_csrf_and_not_without(people: Any) -> None:
    browser = Client(enforce_csrf_checks=True)
    page = browser.get("/sign-in/")
    token = browser.cookies["csrftoken"].value
    assert page.status_code == 200
    assert (
        browser.post("/sign-in/", {"username": "bob", "password": PASSWORD, "csrfmiddlewaretoken": token}).status_code
        == 302
    )
    assert JournalEntry.objects.filter(verb="auth.signed_in", person_id=number_of("bob")).exists()
    assert browser.get("/api/v1/auth/me/").json()["username"] == "bob"
    assert browser.post("/api/v1/stop/", {}, content_type="application/json").status_code == 403
    token = browser.cookies["csrftoken"].value
    assert (
        browser.post("/api/v1/stop/", {}, content_type="application/json", headers={"X-CSRFToken": token}).status_code
        == 200
    )
    assert browser.post("/sign-out/", {"csrfmiddlewaretoken": token}).status_code == 302
    assert browser.get("/").status_code == 302


def test_passwords_are_hashed_with_argon2_and_never_shown(api: Any, people: Any) -> None:
    assert people["alice"].password.startswith("argon2")
    assert "password" not in str(api("ada").get("/api/v1/auth/me/").json())


def test_a_password_change_is_checked_and_journalled_without_it(api: Any) -> None:
    alice = api("alice")
    path = "/api/v1/auth/password/"
    wrong = alice.post(path, {"old_password": "x", "new_password": "a-much-longer-one-77"}, format="json")
    weak = alice.post(path, {"old_password": PASSWORD, "new_password": "password1234"}, format="json")
    assert (list(wrong.json()["errors"]), list(weak.json()["errors"])) == (["old_password"], ["new_password"])
    assert (
        alice.post(path, {"old_password": PASSWORD, "new_password": "a-much-longer-one-77"}, format="json").status_code
        == 200
    )
    assert JournalEntry.objects.filter(verb="auth.password_changed").count() == 1
    assert "a-much-longer-one-77" not in str(list(JournalEntry.objects.values()))


def test_when_the_bell_of_a_sign_out_rings_the_session_has_ended(monkeypatch: pytest.MonkeyPatch, people: Any) -> None:
    """A socket asks once, when it hears the bell: were the session still whole, it would stay open for ever."""
    client, found = Client(), []
    client.force_login(people["alice"])
    key = client.session.session_key or ""
    assert session_user(key) == people["alice"]
    monkeypatch.setattr(
        events, "publish", lambda topic, *_: found.append(session_user(key)) if topic == "rights" else None
    )
    assert client.post("/sign-out/").status_code == 302
    assert found == [None]


def test_passwords_are_hashed_one_at_a_time() -> None:
    """Fifty sign-ins at once leave a core to the stop button."""
    hasher = hashing.OneAtATime()
    kept = hasher.encode(PASSWORD, "a-salt-of-its-own")
    told: list[bool] = []
    guess = threading.Thread(target=lambda: told.append(hasher.verify(PASSWORD, kept)))
    with hashing.TURN:
        guess.start()
        guess.join(1)
        assert told == [], "it hashes beside another"
    guess.join(20)
    assert told == [True] and not hasher.verify("another-password", kept)
    assert hasher.decode(kept)["parallelism"] == 1


def test_who_holds_the_database_does_not_queue_to_hash(people: Any) -> None:
    """A queue of sign-ins would else keep every journal row waiting, and with it every command."""
    with hashing.TURN, transaction.atomic():
        User.objects.create_user("nina", password="seven-otters-paint-clocks")
    assert User.objects.get(username="nina").check_password("seven-otters-paint-clocks")


def test_a_hash_of_more_lanes_stays_and_a_weaker_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (Argon2PasswordHasher.memory_cost, Argon2PasswordHasher.time_cost) >= (102_400, 2), "what production uses"
    monkeypatch.setattr(hashing.OneAtATime, "memory_cost", Argon2PasswordHasher.memory_cost)
    monkeypatch.setattr(hashing.OneAtATime, "time_cost", Argon2PasswordHasher.time_cost)
    hasher, lanes = hashing.OneAtATime(), Argon2PasswordHasher().encode(PASSWORD, "a-salt-of-its-own")
    assert hasher.verify(PASSWORD, lanes) and not hasher.must_update(lanes)
    assert hasher.must_update(lanes.replace("t=2", "t=1")) and hasher.must_update(lanes.replace("m=102400", "m=19456"))
