"""Refusals that come in floods: none is left out of the journal, and none is told of somebody else."""

from typing import Any

import pytest
from django.test import RequestFactory
from django.urls import resolve

from accounts import lifecycle, lockout, refusals
from accounts.models import JournalEntry, User
from robotctl.tests.fixtures import PASSWORD, until

pytestmark = pytest.mark.django_db(transaction=True)
FAILED = "auth.sign_in_failed"


def sign_in(api: Any, name: str, password: str = "wrong-horse") -> int:
    body = {"username": name, "password": password}
    return int(api(None).post("/api/v1/auth/login/", body, format="json").status_code)


def told(**which: Any) -> dict[str | None, int]:
    """How many failures the journal tells of each person."""
    names = dict(User.objects.values_list("pk", "username"))
    found: dict[str | None, int] = {}
    for row in JournalEntry.objects.filter(verb=FAILED, **which):
        name = names.get(row.person_id) if row.person_id else None
        found[name] = found.get(name, 0) + row.data["count"]
    return found


def test_failed_sign_ins_are_counted_for_each_name(api: Any) -> None:
    for name, times in (("alice", 3), ("ada", 1), ("nobody-1", 1), ("nobody-2", 1)):
        for _ in range(times):
            assert sign_in(api, name) == 401
    assert told() == {"alice": 1, "ada": 1, None: 1}
    lifecycle.stopped("web")
    assert told() == {"alice": 3, "ada": 1, None: 2}


def test_what_was_counted_is_written_with_the_next_refusal_after_its_minute(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        sign_in(api, "alice")
    monkeypatch.setattr(refusals, "STRANGER_WINDOW_S", 0.0)
    api(None).get("/api/v1/robots/")
    assert told() == {"alice": 3}
    sign_in(api, "alice")
    assert told() == {"alice": 4}


def test_no_more_are_remembered_than_there_is_room_for_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "STRANGERS_KEPT", 3)
    for number in (1, 1, 2, 3, 4, 5):
        refusals.strangers.tell(number, "access.denied", str(number))
    assert len(refusals.strangers._seen) == 3
    counts = [
        (row.target, row.data["count"]) for row in JournalEntry.objects.filter(verb="access.denied").order_by("pk")
    ]
    assert counts == [("1", 1), ("2", 1), ("3", 1), ("1", 1), ("4", 1), ("5", 1)]


def test_who_is_signed_in_is_not_counted_with_strangers(api: Any) -> None:
    sign_in(api, "alice")
    body = {"old_password": "wrong-horse", "new_password": "a-much-longer-one-77"}
    assert api("alice").post("/api/v1/auth/password/", body, format="json").status_code == 400
    rows = JournalEntry.objects.filter(verb=FAILED)
    assert {row.actor_id for row in rows} == {None, User.objects.get(username="alice").pk}


def test_each_that_comes_during_a_lockout_is_counted(api: Any) -> None:
    for _ in range(lockout.NAME_LIMIT):
        sign_in(api, "alice")
    assert [sign_in(api, "alice", PASSWORD) for _ in range(4)] == [429] * 4
    refusals.strangers.flush()
    assert told(data__code="locked_out") == {"alice": 4}
    assert told() == {"alice": lockout.NAME_LIMIT + 4}


@pytest.mark.parametrize("name", ["users", "api", "v1", "alice"])
def test_the_name_in_an_address_is_not_told_whatever_it_is(people: dict[str, Any], name: str) -> None:
    person = User.objects.filter(username=name).first() or User.objects.create_user(name)
    request = RequestFactory().get(f"/api/v1/users/{name}/link/")
    request.resolver_match = resolve(request.path)
    assert refusals._path(request) == ("/api/v1/users/…/link/", person)


def test_the_secret_in_an_address_is_not_told() -> None:
    request = RequestFactory().get("/account/link/MQ/abc-123/")
    request.resolver_match = resolve(request.path)
    assert refusals._path(request) == ("/account/link/…/…/", None)


def test_a_flood_that_ends_is_told_whole_without_another_refusal(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "STRANGER_WINDOW_S", 0.3)
    for _ in range(5):
        api(None).get("/api/v1/robots/")
    told = JournalEntry.objects.filter(verb="access.unauthenticated")
    until(lambda: sum(row.data["count"] for row in told.all()) == 5)
    assert told.count() <= 3


def test_a_row_that_stands_for_several_does_not_say_of_all_what_was_true_of_the_last(api: Any) -> None:
    stranger = api(None)
    for path in ("robots/", "roles/", "roles/"):
        stranger.get(f"/api/v1/{path}")
    refusals.strangers.flush()
    first, rest = JournalEntry.objects.filter(verb="access.unauthenticated").order_by("pk")
    assert (first.target, first.data["count"]) == ("GET /api/v1/robots/", 1)
    assert (rest.target, rest.data["count"]) == ("GET /api/v1/roles/", 2)
    for path in ("robots/", "roles/", "journal/"):
        stranger.get(f"/api/v1/{path}")
    refusals.strangers.flush()
    mixed = JournalEntry.objects.filter(verb="access.unauthenticated").latest("pk")
    assert (mixed.target, mixed.reason, mixed.data["count"]) == ("", "", 2)
    assert [one.partition(":")[0] for one in mixed.data["of"]] == ["GET /api/v1/roles/", "GET /api/v1/journal/"]
