"""Links that set a password: who may make one, once, for a day, and nowhere written down."""

import logging
import sys
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog
from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.test import Client, override_settings
from django.utils import timezone

from accounts.models import JournalEntry, JournalOrigin, User
from robotctl.tests.fixtures import PASSWORD
from robotctl.tests.told import about

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "seven-otters-paint-clocks"


def link(api: Any, name: str = "alice") -> dict[str, Any]:
    made: dict[str, Any] = api("ada").post(f"/api/v1/users/{name}/link/").json()
    return made


def opened(url: str) -> tuple[Client, str, Any]:
    """A browser that has followed the link to its form."""
    browser = Client()
    first = browser.get(urlsplit(url).path)
    where = first.headers.get("Location", "")
    return browser, where, browser.get(where) if where else first


def choose(browser: Client, where: str, password: str = NEW) -> Any:
    return browser.post(where, {"new_password1": password, "new_password2": password})


def test_only_an_administrator_makes_one(api: Any) -> None:
    for name, status in ((None, 401), ("bob", 403), ("alice", 403), ("otto", 403), ("erin", 403)):
        assert api(name).post("/api/v1/users/alice/link/").status_code == status
    assert api("ada").post("/api/v1/users/nobody/link/").status_code == 404
    made = link(api)
    assert (set(made), made["kind"]) == ({"url", "expires_at", "kind"}, "reset")
    assert made["url"].startswith("http://testserver/account/link/")


def test_somebody_new_is_invited_and_chooses_a_password(api: Any) -> None:
    User.objects.create_user("zoe", role_id="viewer")
    made = link(api, "zoe")
    assert made["kind"] == "invite"
    browser, where, page = opened(made["url"])
    token = urlsplit(made["url"]).path.rstrip("/").rpartition("/")[2]
    assert token not in where + page.content.decode()
    assert page["Referrer-Policy"] == "same-origin"
    assert choose(browser, where).status_code == 302
    assert browser.get("/").status_code == 302  # the link signs nobody in
    assert browser.post("/sign-in/", {"username": "zoe", "password": NEW})["Location"] == "/"


def test_it_works_once(api: Any) -> None:
    made = link(api)
    one, where, _ = opened(made["url"])
    other, where_too, _ = opened(made["url"])
    assert choose(one, where).status_code == 302
    assert b"does not work" in choose(other, where_too, "another-otter-paints-clocks").content
    assert b"does not work" in opened(made["url"])[2].content
    assert User.objects.get(username="alice").check_password(NEW)


def test_it_expires(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = link(api)
    later = timezone.now().replace(tzinfo=None) + timedelta(hours=24, minutes=1)
    monkeypatch.setattr(PasswordResetTokenGenerator, "_now", lambda _: later)
    assert b"does not work" in opened(made["url"])[2].content


def test_the_rules_hold_here_too(api: Any) -> None:
    browser, where, _ = opened(link(api)["url"])
    answer = choose(browser, where, "password1234")
    assert answer.status_code == 200
    assert b"too common" in answer.content
    assert User.objects.get(username="alice").check_password(PASSWORD)
    assert choose(browser, where).status_code == 302  # and one may try again


def test_it_ends_what_the_person_was_signed_in_with_and_the_duty_to_change_it(api: Any) -> None:
    alice, bob = api("alice"), api("bob")
    User.objects.filter(username="alice").update(must_change_password=True)
    browser, where, _ = opened(link(api)["url"])
    choose(browser, where)
    assert alice.get("/api/v1/auth/me/").status_code == 401
    assert bob.get("/api/v1/auth/me/").status_code == 200
    assert not User.objects.get(username="alice").must_change_password


def test_somebody_deactivated_gets_none_and_an_older_one_is_void(api: Any) -> None:
    made = link(api)
    User.objects.filter(username="alice").update(is_active=False)
    assert api("ada").post("/api/v1/users/alice/link/").json()["code"] == "not_active"
    assert b"does not work" in opened(made["url"])[2].content


def test_the_journal_tells_of_it_and_does_not_hold_it(api: Any) -> None:
    made = link(api)
    browser, where, _ = opened(made["url"])
    choose(browser, where)
    row = JournalEntry.objects.get(verb="auth.link_issued")
    assert (about(row), row.data["kind"]) == ("alice", "reset")
    written = str(list(JournalEntry.objects.values())) + str(list(JournalOrigin.objects.values()))
    assert urlsplit(made["url"]).path.rstrip("/").rpartition("/")[2] not in written
    changed = JournalEntry.objects.get(verb="auth.password_changed")
    assert changed.actor_id == User.objects.get(username="alice").pk


def test_no_log_line_holds_one(api: Any) -> None:
    """Django logs the address of a request that failed; here with an exception that tells it, too."""
    path = urlsplit(link(api)["url"]).path
    formatters: Any = settings.LOGGING["formatters"]
    about = {key: value for key, value in formatters["structured"].items() if key != "()"}
    try:
        raise ValueError(f"{path}?x=1")
    except ValueError:
        record = logging.LogRecord("django.request", logging.ERROR, "", 0, "Failed: %s", (path,), sys.exc_info())
    line = structlog.stdlib.ProcessorFormatter(**about).format(record)
    assert line.count("/account/link/•••") >= 2
    assert path.rstrip("/").rpartition("/")[2] not in line


def test_whoever_is_signed_in_in_the_browser_that_opens_it_is_signed_out(api: Any, people: Any) -> None:
    browser = Client()
    browser.force_login(people["alice"])
    where = browser.get(urlsplit(link(api)["url"]).path)["Location"]
    assert choose(browser, where)["Location"] == "/sign-in/?set=1"
    assert b"Your password is set" in browser.get("/sign-in/?set=1").content


@override_settings(ALLOWED_HOSTS=["robots.example"])
def test_a_made_up_host_does_not_get_into_a_link(api: Any) -> None:
    ada = api("ada")
    assert ada.post("/api/v1/users/alice/link/", headers={"Host": "evil.example"}).status_code == 400
    made = ada.post("/api/v1/users/alice/link/", headers={"Host": "robots.example"}).json()
    assert made["url"].startswith("http://robots.example/")
