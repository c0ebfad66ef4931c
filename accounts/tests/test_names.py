"""User names: nobody passes for somebody else by letters that look alike; every script may be written."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client

from accounts import names
from accounts.models import User
from robotctl.tests.fixtures import PASSWORD

API = "/api/v1/users/"
CYRILLIC_A, GREEK_O, SMALL_L = "\u0430", "\u03bf", "\uff4c"


@pytest.mark.parametrize("name", [
    "ada", "cell-3.b+c@d_9", "Иван-2", "Ελένη", "Nguyễn.Thị", "søren", "straße", "山田", "山田たろう", "ヤマダー", "김철수",
    "محمد", "דוד", "٣٤محمد",
])  # fmt: skip
def test_names_of_one_script_are_taken(name: str) -> None:
    names.check(name, ["bob"])


@pytest.mark.parametrize(("name", "words"), [
    (f"{CYRILLIC_A}da", "mixes Cyrillic and Latin letters"),
    (f"b{GREEK_O}b", "mixes Greek and Latin letters"),
    (f"{CYRILLIC_A}{GREEK_O}", "mixes Cyrillic and Greek letters"),
    ("a٣", "mixes Arabic and Latin letters"),
    ("bob山", "mixes Cjk and Latin letters"),
])  # fmt: skip
def test_names_of_several_scripts_are_refused_in_clear_words(name: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        names.check(name, [])


@pytest.mark.parametrize(("name", "other"), [
    ("ADA", "ada"), ("ada", "Ada"), ("STRASSE", "straße"), ("ИВАН", "иван"),
    ("сео", "ceo"), ("ВОВ", "bob"), ("ceo", "сео"), ("ΑΝΝΑ", "anna"), ("bıll", "bill"), ("e\u0301va", "éva"),
    ("system", "x"), ("Export", "x"), ("Deleted-7", "x"),
])  # fmt: skip
def test_a_name_that_is_or_looks_like_anothers_is_refused(name: str, other: str) -> None:
    with pytest.raises(ValidationError, match="somebody has it already"):
        names.check(User.normalize_username(name), ["zoe", other])


@pytest.mark.django_db(transaction=True)
def test_every_way_to_a_name_asks(api: Any, people: Any, settings: Any) -> None:
    settings.REGISTRATION = True
    ada, browser, fake = api("ada"), Client(), f"{CYRILLIC_A}lice"
    person = {"username": fake, "role": "guest"}
    made = ada.post(API, person, format="json")
    assert "mixes Cyrillic and Latin" in made.json()["errors"]["username"][0]
    told = ada.post(f"{API}import/", {"users": [person]}, format="json").json()
    assert told["applied"] is False
    assert "mixes" in told["rows"][0]["errors"]["username"][0]
    registration = {"username": fake, "password": "seven-otters-paint-clocks"}
    assert (
        "mixes" in api(None).post("/api/v1/auth/register/", registration, format="json").json()["errors"]["username"][0]
    )
    assert "mixes" in browser.post("/register/", registration).content.decode()
    wide = {"username": f"a{SMALL_L}ice", "role": "guest"}  # stored as `alice`
    assert ada.post(API, wide, format="json").status_code == 400
    browser.force_login(people["ada"])
    form = {"username": fake, "role": "guest", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    assert "mixes" in browser.post("/admin/accounts/user/add/", form).content.decode()
    rename = {"username": "BOB", "role": "operator", "is_active": "on"}
    path = f"/admin/accounts/user/{people['alice'].pk}/change/"
    browser.post(path, rename)  # a name is for life
    assert User.objects.filter(pk=people["alice"].pk, username="alice").exists()
    assert not User.objects.filter(username__in=[fake, "BOB"]).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["аdmin", "deleted-7", "Alice"])
def test_the_command_line_asks_as_well(name: str, people: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    with pytest.raises(CommandError):
        call_command("createsuperuser", "--noinput", username=name, email="")
    assert not User.objects.filter(username=name).exists()
    call_command("createsuperuser", "--noinput", username="grace", email="", verbosity=0)
    assert User.objects.get(username="grace").role_id == "admin"


@pytest.mark.django_db(transaction=True)
def test_whoever_has_such_a_name_already_keeps_it(api: Any) -> None:
    old = User.objects.create(username=f"{CYRILLIC_A}lice", role_id="guest")
    answer = api("ada").patch(f"{API}{old.username}/", {"email": "a@example.org"}, format="json")
    assert answer.status_code == 200
