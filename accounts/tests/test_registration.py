"""Nobody registers themselves, unless it is switched on; and then they are guests, whatever they ask for."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import JournalEntry, User
from robotctl.tests.told import about

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/auth/register/"
NEW = {"username": "mallory", "password": "quite a long phrase", "email": "m@example.org"}


def test_it_is_off(people: Any, api: Any) -> None:
    assert api(None).post(URL, NEW).status_code == 404
    assert Client().get("/register/").status_code == 404 and Client().post("/register/", NEW).status_code == 404
    assert b"Register" not in Client().get("/sign-in/").content
    assert not User.objects.filter(username="mallory").exists()


def test_switched_on_it_makes_guests_only(people: Any, api: Any, settings: Any) -> None:
    settings.REGISTRATION = True
    assert "role" in api(None).post(URL, NEW | {"role": "admin"}).json()["errors"]
    made = api(None).post(URL, NEW)
    assert (made.status_code, made.json()) == (201, {"username": "mallory", "role": "guest"})
    assert about(JournalEntry.objects.get(verb="user.registered")) == "mallory"
    token = api(None).post("/api/v1/auth/login/", {"username": "mallory", "password": NEW["password"]}).json()
    assert token["user"]["rights"] == ["fleet.view"]


@pytest.mark.parametrize(
    ("change", "field"), [({"password": "short"}, "password"), ({"username": "alice"}, "username")]
)
def test_what_is_wrong_is_said(change: Any, field: str, people: Any, api: Any, settings: Any) -> None:
    settings.REGISTRATION = True
    assert field in api(None).post(URL, NEW | change).json()["errors"]
    page = Client().post("/register/", NEW | change)
    assert page.status_code == 200 and b"trouble" in page.content
    assert not User.objects.filter(username="mallory").exists()


def test_the_page_leads_to_the_sign_in(people: Any, settings: Any) -> None:
    settings.REGISTRATION = True
    assert Client().post("/register/", NEW)["Location"] == "/sign-in/?set=1"
    assert User.objects.get(username="mallory").role_id == "guest"
