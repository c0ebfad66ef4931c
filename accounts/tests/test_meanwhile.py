"""What was read a moment ago undoes nothing that somebody has done since: neither a save of it, nor a slow sign-in."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from accounts import hashing, role_changes, sessions
from accounts.models import ApiToken, Guess, JournalEntry, Role, User
from accounts.people import change, change_details, forget
from firmware.models import Robot
from robotctl.problems import Problem
from robotctl.tests.fixtures import PASSWORD, until
from robotctl.tests.system import register

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "quite-another-phrase-7"


def read(name: str = "erin") -> User:
    return User.objects.get(username=name)


@pytest.mark.parametrize("wanted", [{"role": "guest"}, {"is_active": False}, {"password": NEW}])
def test_ones_own_details_undo_nothing(wanted: dict[str, Any], people: Any) -> None:
    before = read()
    change(read(), read("ada"), wanted)
    kept = User.objects.values("role_id", "is_active", "password", "must_change_password").get(pk=before.pk)
    change_details(before, before, {"email": "erin@example.org"})
    assert User.objects.values(*kept).get(pk=before.pk) == kept
    assert read().email == "erin@example.org"


def test_who_was_forgotten_stays_so(people: Any) -> None:
    before, ada = read(), read("ada")
    forget(read(), ada, reason="asked for it")
    with pytest.raises(Problem, match="deleted"):
        change_details(before, before, {"email": "erin@example.org"})
    with pytest.raises(Problem, match="deleted"):
        change(before, ada, {"role": "admin"})
    row = User.objects.get(pk=before.pk)
    assert (row.is_active, row.role_id, row.email, row.has_usable_password()) == (False, "guest", "", False)


def test_of_two_changes_by_administrators_both_stay(people: Any) -> None:
    first, second, ada = read(), read(), read("ada")
    change(first, ada, {"password": NEW})
    change(second, ada, {"email": "erin@example.org"})
    row = read()
    assert row.check_password(NEW) and row.must_change_password and row.email == "erin@example.org"


@pytest.mark.parametrize("end", ["password", "deactivated", "signed out"])
@pytest.mark.parametrize("door", ["/api/v1/auth/login/", "/sign-in/"])
def test_a_sign_in_that_began_before_does_not_outlive_the_end_of_everything(door: str, end: str, people: Any) -> None:
    """The password is compared slowly, and what happens meanwhile ends the sign-in that is not there yet."""

    def enter() -> int:
        try:
            how: Any = {"content_type": "application/json"} if "api" in door else {}
            return int(Client().post(door, {"username": "erin", "password": PASSWORD}, **how).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with hashing.TURN:
            asked = threads.submit(enter)
            until(lambda: Guess.objects.exists())
            time.sleep(0.3)  # it has read the row, and waits to compare
            with transaction.atomic():  # where hashing does not queue
                if end == "signed out":
                    sessions.sign_out(read())
                else:
                    change(read(), read("ada"), {"password": NEW} if end == "password" else {"is_active": False})
        status = asked.result(20)
    assert status == (401 if "api" in door else 200)  # 200: the form again
    assert not ApiToken.objects.filter(user=people["erin"]).exists()
    assert not sessions.of(people["erin"]).exists()
    failed = JournalEntry.objects.filter(verb="auth.sign_in_failed", person_id=people["erin"].pk)
    assert [row.data["code"] for row in failed] == ["changed_meanwhile"]


def during(change_it: Callable[[], object], ask: Callable[[], int]) -> int:
    """What `ask` is answered that comes while a transaction that does `change_it` is open."""

    def asked() -> int:
        try:
            return ask()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with role_changes.changing():
            list(Robot.objects.select_for_update())
            answer = threads.submit(asked)
            time.sleep(0.4)
            change_it()
        return answer.result(20)


def test_a_role_that_is_renamed_keeps_what_the_matrix_took(people: Any, api: Any) -> None:
    def take() -> None:
        role = Role.objects.get(pk="operator")
        role.permissions = ["robot.command"]
        role_changes.save(role)

    ada = api("ada")
    assert during(take, lambda: int(ada.patch("/api/v1/roles/operator/", {"title": "Driver"}).status_code)) == 200
    now = Role.objects.get(pk="operator")
    assert (now.title, now.permissions) == ("Driver", ["robot.command"])


@pytest.mark.parametrize("door", ["api", "admin"])
def test_a_robot_that_is_retired_stays_so(door: str, people: Any, api: Any) -> None:
    robot = register("oht-01", "http://127.0.0.1:9")
    page, ada = Client(), api("ada")
    page.force_login(people["ada"])
    form = {"name": "Other", "profile": "oht50", "base_url": "http://127.0.0.1:9", "settings": "{}"}

    def rename() -> int:
        if door == "api":
            return int(ada.patch("/api/v1/robots/oht-01/", {"name": "Other"}).status_code)
        about = {**form, "poll_interval_s": robot.poll_interval_s, "enabled": "on"}
        return int(page.post(f"/admin/firmware/robot/{robot.pk}/change/", about).status_code)

    def retire() -> None:
        Robot.objects.filter(pk=robot.pk).update(retired_at=timezone.now(), enabled=False)

    assert during(retire, rename) in ((404, 409) if door == "api" else (302,))
    now = Robot.objects.get(pk=robot.pk)
    assert (now.retired_at is None, now.enabled, now.name) == (False, False, robot.name)
