"""The holes of an earlier system of this kind. Each has a test that is named after it."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from accounts import permissions
from accounts.models import ApiToken, User
from firmware.models import Robot
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


def test_no_lockout_was_and_guessing_waits_now(people: Any) -> None:
    """Six guesses, over the API and at the door, and even the right password waits; who is in stays in."""
    inside = Client()
    inside.force_login(people["alice"])
    for guess in range(3):
        given = {"username": "alice", "password": f"guess-{guess}"}
        Client().post(f"{API}auth/login/", given, content_type="application/json")
        Client().post("/sign-in/", given)
    right = {"username": "alice", "password": PASSWORD}
    answer = Client().post(f"{API}auth/login/", right, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (429, "locked_out")
    browser = Client()
    browser.post("/sign-in/", right)
    assert browser.get(f"{API}auth/me/").status_code == 401
    assert inside.get(f"{API}auth/me/").status_code == 200


@pytest.mark.parametrize("change", ["by_api", "beside_it"])
def test_no_second_matrix_contradicts_the_first(robots: Any, people: Any, change: str) -> None:
    """One table: after a change, in whatever process, each door that says or asks a right says the same at once."""
    robots("oht-01", read=False)
    ada, alice = Client(), Client()
    ada.force_login(people["ada"])
    alice.force_login(people["alice"])
    doors: dict[str, Callable[[], bool]] = {
        "matrix": lambda: operator(ada)["cells"]["robot.command"] == "own",
        "grid": lambda: shown_in_the_grid(ada),
        "me": lambda: "robot.command" in alice.get(f"{API}auth/me/").json()["rights"],
        "why": lambda: ada.get(f"{API}robots/oht-01/access/why/?user=alice&action=robot.command").json()["allowed"],
        "check": lambda: permissions.may(User.objects.get(username="alice"), "robot.command", Robot.objects.get()),
        "state": lambda: (
            alice.get(f"{API}robots/oht-01/state/").json()["commands"]["move"]["code"] != "permission_denied"
        ),
        "request": lambda: alice.post(f"{API}robots/oht-01/lease/").status_code == 200,
    }
    assert {door: says() for door, says in doors.items()} == dict.fromkeys(doors, True)
    own = [right for right in operator(ada)["permissions"] if right != "robot.command"]
    if change == "by_api":
        body = {"permissions": own}
        assert ada.patch(f"{API}roles/operator/", body, content_type="application/json").status_code == 200
    else:  # as another process would have done it
        with connection.cursor() as cursor:
            cursor.execute("UPDATE accounts_role SET permissions = %s WHERE name = 'operator'", [json.dumps(own)])
    assert {door: says() for door, says in doors.items()} == dict.fromkeys(doors, False)


def shown_in_the_grid(ada: Client) -> bool:
    page = ada.get("/admin/accounts/role/matrix", follow=True).content.decode()
    return re.search(r'value="operator[^"]robot\.command"[^>]* checked', page) is not None


def operator(ada: Client) -> Any:
    return next(one for one in ada.get(f"{API}roles/matrix/").json()["roles"] if one["name"] == "operator")


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
