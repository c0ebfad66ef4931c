"""The holes of an earlier system of this kind. Each has a test that is named after it."""

from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import ApiToken, User
from robotctl.tests import access_table as table
from robotctl.tests.fixtures import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)
API = "/api/v1/"
NEWCOMER = {
    "username": "mallory",
    "password": "a-long-enough-one-77",
    "password1": "a-long-enough-one-77",
    "password2": "a-long-enough-one-77",
    "email": "mallory@example.org",
    "role": "admin",
    "is_superuser": True,
}


def test_no_open_registration(transactional_db: None, settings: Any) -> None:
    settings.THROTTLE_RATES = {}
    guesses = ("register/", "signup/", "sign-up/", "auth/register/", "auth/signup/", "users/", "users/register/")
    paths = [f"{API}{guess}" for guess in guesses] + [f"/{guess}" for guess in guesses]
    paths += ["/" + table.ARGUMENT.sub("1", address) for address, _ in table.addresses()]
    for path in paths:
        for kind in ("application/json", "multipart/form-data; boundary=BoUnDaRyStRiNg"):
            answer = Client().post(path, NEWCOMER, content_type=kind)
            assert answer.status_code < 500, path
    assert not User.objects.exists()
    assert not ApiToken.objects.exists()


def test_log_out_ends_the_session_and_the_token(people: Any) -> None:
    browser = Client()
    browser.force_login(people["ada"])
    kept = browser.cookies[settings.SESSION_COOKIE_NAME].value
    assert browser.post(f"{API}auth/logout/").status_code == 200
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = kept
    assert thief.get(f"{API}auth/me/").status_code == 401
    given = {"username": "ada", "password": PASSWORD}
    token = Client().post(f"{API}auth/login/", given, content_type="application/json").json()["token"]
    headers = {"Authorization": f"Token {token}"}
    assert Client().get(f"{API}auth/me/", headers=headers).status_code == 200
    assert Client().post(f"{API}auth/logout/", headers=headers).status_code == 200
    assert Client().get(f"{API}auth/me/", headers=headers).status_code == 401


def test_there_is_no_test_token(transactional_db: None) -> None:
    """A new installation has no person and no token, and none of what people would try opens it."""
    assert (User.objects.count(), ApiToken.objects.count()) == (0, 0)
    for token in (
        "test",
        "test-token",
        "test_token_admin",
        "admin",
        "oht50_admin_token_2025",
        "rc_",
        "null",
        "undefined",
    ):
        for kind in ("Token", "Bearer"):
            answer = Client().get(f"{API}auth/me/", headers={"Authorization": f"{kind} {token}"})
            assert answer.status_code == 401, token
    for name, password in (("admin", "admin"), ("admin", "admin123"), ("test", "test"), ("root", "root")):
        given = {"username": name, "password": password}
        assert Client().post(f"{API}auth/login/", given, content_type="application/json").status_code == 401


def test_testing_mode_opens_nothing(robots: Any, settings: Any) -> None:
    """Every address answers a stranger and a guest the same with TESTING as without."""
    settings.THROTTLE_RATES = {}
    assert settings.ENV.testing
    robot, _ = robots("oht-01", read=False)
    house = table.furnish(robot)
    told = []
    for testing in (True, False):
        settings.ENV = replace(settings.ENV, testing=testing)
        told.append(
            {
                (address, method, who): table.ask(house, who, method, table.filled(address, house, who))
                for address, pattern in table.addresses()
                for method in table.taken(pattern)
                for who in ("stranger", "guest")
            }
        )
    assert told[0] == told[1]
