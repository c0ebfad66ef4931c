"""Registering robots: over the API and in the admin, with the same rules."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from firmware.models import Robot
from robotctl.tests.system import SIMULATOR_TOKENS, register

pytestmark = pytest.mark.django_db(transaction=True)
BODY = {
    "slug": "oht-07",
    "name": "Seven",
    "profile": "oht50",
    "base_url": "http://127.0.0.1:9",
    "credentials": SIMULATOR_TOKENS,
}


@pytest.mark.parametrize(
    ("name", "status"), [(None, 401), ("charlie", 403), ("bob", 403), ("alice", 403), ("otto", 403), ("erin", 201)]
)
def test_registering_is_for_engineers(api: Any, name: str | None, status: int) -> None:
    assert api(name).post("/api/v1/robots/", BODY, format="json").status_code == status


@pytest.mark.parametrize(("change", "field"), [
    ({"slug": "Oht 7"}, "slug"),
    ({"profile": "nope"}, "profile"),
    ({"base_url": "ftp://127.0.0.1"}, "base_url"),
    ({"base_url": "http://169.254.169.254/"}, "base_url"),
    ({"base_url": "http://8.8.8.8/"}, "base_url"),
    ({"base_url": "http://user:word@127.0.0.1:9"}, "base_url"),
    ({"poll_interval_s": 0.001}, "poll_interval_s"),
    ({"poll_interval_s": "often"}, "poll_interval_s"),
    ({"credentials": {"admin": 7, "x": []}}, "credentials.x"),
    ({"site": "Atlantis"}, "site"),
])  # fmt: skip
def test_a_bad_registration_is_refused_in_the_fields_own_words(api: Any, change: dict[str, Any], field: str) -> None:
    answer = api("erin").post("/api/v1/robots/", BODY | change, format="json")
    assert answer.status_code == 400
    assert field in answer.json()["errors"]
    assert not Robot.objects.exists()


def test_a_slug_is_taken_once_and_never_returns(api: Any) -> None:
    erin = api("erin")
    assert erin.post("/api/v1/robots/", BODY, format="json").status_code == 201
    assert erin.post("/api/v1/robots/", BODY, format="json").json()["errors"]["slug"]
    assert erin.delete("/api/v1/robots/oht-07/").status_code == 204
    assert erin.get("/api/v1/robots/oht-07/").status_code == 404
    assert erin.post("/api/v1/robots/", BODY, format="json").json()["errors"]["slug"]


def test_another_address_clears_the_credentials(api: Any) -> None:
    register("oht-01", "http://127.0.0.1:9")
    assert (
        api("erin")
        .patch("/api/v1/robots/oht-01/", {"base_url": "http://127.0.0.1:10"}, format="json")
        .json()["credentials_set"]
        is False
    )
    assert Robot.objects.get().credentials == {}


def browser(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


@pytest.mark.parametrize(
    ("name", "status"), [("charlie", 302), ("bob", 302), ("alice", 302), ("otto", 403), ("erin", 200), ("ada", 200)]
)
def test_the_admins_robots_are_for_engineers(people: Any, name: str, status: int) -> None:
    assert browser(name).get("/admin/firmware/robot/").status_code == status


def test_the_admin_registers_keeps_and_never_shows_credentials(people: Any) -> None:
    erin = browser("erin")
    form = {
        "slug": "oht-09",
        "name": "Nine",
        "profile": "oht50",
        "base_url": "http://127.0.0.1:9",
        "poll_interval_s": "1",
        "enabled": "on",
    }
    assert (
        erin.post("/admin/firmware/robot/add/", form | {"credentials": '{"admin": "s3cret-token"}'}).status_code == 302
    )
    robot = Robot.objects.get()
    assert robot.credentials == {"admin": "s3cret-token"}
    path = f"/admin/firmware/robot/{robot.pk}/change/"
    assert "s3cret-token" not in erin.get(path).content.decode()
    assert erin.post(path, form | {"name": "Neun"}).status_code == 302
    robot.refresh_from_db()
    assert (robot.name, robot.credentials) == ("Neun", {"admin": "s3cret-token"})
    assert erin.post(path, form | {"credentials": "s3cret"}).status_code == 200  # shown again, with the error
    assert erin.post(path, form | {"base_url": "http://169.254.1.1"}).status_code == 200
    assert erin.post(path, form | {"base_url": "http://127.0.0.1:10"}).status_code == 302
    robot.refresh_from_db()
    assert robot.credentials == {}


def test_the_journal_cannot_be_written_in_the_admin(people: Any) -> None:
    from accounts import journal

    row = journal.record("something.done")
    ada = browser("ada")
    assert ada.get("/admin/accounts/journalentry/").status_code == 200
    assert ada.get("/admin/accounts/journalentry/add/").status_code == 403
    assert ada.post(f"/admin/accounts/journalentry/{row.pk}/change/", {"verb": "x"}).status_code == 403
    assert ada.post(f"/admin/accounts/journalentry/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert browser("erin").get("/admin/accounts/journalentry/").status_code == 403
