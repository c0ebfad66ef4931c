"""A browser session that nobody touches is locked: for everything but STOP and looking at a robot's state."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from accounts.lock import ACTIVE_AT
from accounts.models import JournalEntry
from robotctl.tests.fixtures import PASSWORD
from robotctl.tests.told import about, number_of

pytestmark = pytest.mark.django_db(transaction=True)
API = "/api/v1/"
UNLOCK = f"{API}auth/unlock/"


@pytest.fixture
def browser(people: Any) -> Client:
    client = Client()
    client.force_login(people["ada"])
    assert client.get("/").status_code == 200
    return client


def idle(client: Client, seconds: float) -> None:
    """So long nobody has touched it."""
    session = client.session
    session[ACTIVE_AT] = time.time() - seconds
    session.save()


def post(client: Client, path: str, body: Any = None) -> Any:
    return client.post(f"{API}{path}", body or {}, content_type="application/json")


def test_a_locked_session_may_do_nothing(browser: Client, robots: Any) -> None:
    robots("oht-01", read=False)
    idle(browser, 901)
    for path in ("robots/", "robots/oht-01/", "robots/oht-01/commands/", "journal/", "auth/tokens/"):
        answer = browser.get(f"{API}{path}")
        assert (answer.status_code, answer.json()["code"]) == (403, "session_locked"), path
    for path in (
        "robots/oht-01/commands/",
        "robots/oht-01/lease/",
        "robots/oht-01/stop/reset/",
        "auth/password/",
        "auth/activity/",
    ):
        assert post(browser, path).json()["code"] == "session_locked", path
    for page in ("/", "/robots/oht-01/", "/admin/", "/admin/firmware/robot/?q=1"):
        answer = browser.get(page)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/unlock/?next=%2F"), page
    assert (
        browser.post("/admin/firmware/robot/add/")["Location"] == "/unlock/?next=%2Fadmin%2Ffirmware%2Frobot%2Fadd%2F"
    )


def test_a_locked_session_stops_robots_and_sees_their_state(browser: Client, robots: Any) -> None:
    robots("oht-01")
    idle(browser, 901)
    for path in ("auth/stop-ticket/", "robots/oht-01/stop/", "stop/", "robots/oht-01/stop", "auth/ws-ticket/"):
        assert post(browser, path).status_code == 200, path
    for path in ("robots/oht-01/state/", "auth/me/", "auth/activity/"):
        assert browser.get(f"{API}{path}").status_code == 200, path
    assert post(browser, "commands/1/release/").status_code == 404
    assert browser.get(f"{API}auth/activity/").json()["locked"] is True
    assert post(browser, "auth/logout/").status_code == 200


def test_the_password_unlocks_and_the_journal_knows(browser: Client) -> None:
    idle(browser, 901)
    assert post(browser, "auth/unlock/", {"password": "wrong-horse"}).json()["errors"] == {
        "password": ["This is not your password."]
    }
    assert JournalEntry.objects.filter(verb="auth.sign_in_failed", person_id=number_of("ada")).count() == 1
    assert browser.get(f"{API}robots/").status_code == 403
    assert post(browser, "auth/unlock/", {"password": PASSWORD}).json()["locked"] is False
    assert browser.get(f"{API}robots/").status_code == 200
    assert browser.get("/").status_code == 200
    row = JournalEntry.objects.get(verb="auth.session_unlocked")
    assert (about(row), row.actor_id) == ("ada", browser.get(f"{API}auth/me/").json()["id"])


def test_of_many_wrong_ones_at_once_ten_are_looked_at_and_the_session_ends(browser: Client, settings: Any) -> None:
    settings.THROTTLE_RATES = {}
    idle(browser, 901)

    def guess(number: int) -> int:
        one = Client()
        one.cookies = browser.cookies
        try:
            return int(post(one, "auth/unlock/", {"password": f"guess-{number}"}).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(guess, range(16)))
    assert statuses.count(400) <= 10, statuses
    assert browser.get(f"{API}auth/activity/").status_code == 401
    assert JournalEntry.objects.filter(verb="auth.signed_out").count() == 1


def test_the_tenth_wrong_one_ends_the_session_and_the_right_one_forgets_the_others(
    browser: Client, settings: Any
) -> None:
    settings.THROTTLE_RATES = {}
    idle(browser, 901)
    for password in [*["wrong-horse"] * 9, PASSWORD]:  # the name is locked out meanwhile
        status = post(browser, "auth/unlock/", {"password": password}).status_code
    assert status == 200
    idle(browser, 901)
    for _ in range(10):
        assert browser.get(f"{API}auth/activity/").status_code == 200
        assert post(browser, "auth/unlock/", {"password": "wrong-horse"}).status_code == 400
    assert browser.get(f"{API}auth/activity/").status_code == 401


def test_a_token_tries_no_passwords(api: Any) -> None:
    made = api("ada").post(f"{API}auth/tokens/", {"name": "script"}).json()["token"]
    script = api(None)
    script.credentials(HTTP_AUTHORIZATION=f"Token {made}")
    for client in (script, api("ada")):
        for password in (PASSWORD, "wrong-horse"):
            assert client.post(UNLOCK, {"password": password}).status_code == 403


def test_somebody_elses_password_does_not_unlock(browser: Client, people: Any) -> None:
    people["bob"].set_password("another-horse-10")
    people["bob"].save()
    idle(browser, 901)
    assert post(browser, "auth/unlock/", {"password": "another-horse-10"}).status_code == 400
    assert post(browser, "auth/unlock/", {"password": PASSWORD, "username": "bob"}).status_code == 400
    assert browser.get(f"{API}robots/").status_code == 403


def test_what_somebody_does_keeps_it_open_and_what_a_page_does_by_itself_does_not(browser: Client, robots: Any) -> None:
    robots("oht-01", read=False)
    for path, counts in {
        "auth/activity/": True,
        "auth/tokens/": True,
        "auth/stop-ticket/": False,
        "auth/ws-ticket/": False,
        "robots/oht-01/lease/": False,
    }.items():
        idle(browser, 600)
        post(browser, path)
        assert (browser.session[ACTIVE_AT] > time.time() - 60) is counts, path
    idle(browser, 600)
    browser.get(f"{API}robots/oht-01/state/")
    assert browser.session[ACTIVE_AT] < time.time() - 60
    browser.get("/")
    assert browser.session[ACTIVE_AT] > time.time() - 60


def test_it_is_written_down_once_a_minute(browser: Client) -> None:
    idle(browser, 30)
    before = browser.session[ACTIVE_AT]
    post(browser, "auth/activity/")
    assert browser.session[ACTIVE_AT] == before


def test_a_clock_that_is_set_back_keeps_nothing_open(browser: Client) -> None:
    idle(browser, -3600)
    assert browser.get(f"{API}robots/").json()["code"] == "session_locked"


def test_an_api_token_is_never_locked_and_a_bad_one_does_not_open_a_locked_session(browser: Client, api: Any) -> None:
    token = api("ada").get(f"{API}auth/activity/")
    assert token.json() == {"locked": False, "locks_in_s": None, "locks_after_s": 900}
    idle(browser, 901)
    for given, status in (("Token nothing", 401), ("Basic YTpi", 403), ("Token", 401)):
        assert browser.get(f"{API}robots/", headers={"Authorization": given}).status_code == status, given


def test_unlocking_needs_the_csrf_token(people: Any) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["ada"])
    idle(strict, 901)
    answer = strict.post(UNLOCK, {"password": PASSWORD}, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")


def test_the_page_that_unlocks_shows_who_is_signed_in_and_stop_and_leads_back(browser: Client, robots: Any) -> None:
    robots("oht-01", read=False)
    assert browser.get("/unlock/?next=/robots/oht-01/")["Location"] == "/robots/oht-01/"
    idle(browser, 901)
    page = browser.get("/unlock/?next=/robots/oht-01/").content.decode()
    assert 'data-stop="*"' in page
    assert 'data-stop="oht-01"' in page
    assert 'data-next="/robots/oht-01/"' in page
    assert 'data-next="/"' in browser.get("/unlock/?next=https://evil.example/").content.decode()
    assert Client().get("/unlock/")["Location"].startswith("/sign-in/")
