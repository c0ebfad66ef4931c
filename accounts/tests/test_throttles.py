"""Limits on how much one person and one address may ask for; and what they never touch."""

import math
import socket
import time
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from accounts import throttles
from accounts.models import JournalEntry
from accounts.throttles import Counter, Rate
from robotctl.tests.fixtures import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)
ME = "/api/v1/auth/me/"
FEW = dict.fromkeys(settings.THROTTLE_RATES, (3, 3600))
MANY = dict.fromkeys(settings.THROTTLE_RATES, (1000000, 10))


def only(settings: Any, *names: str) -> None:
    settings.THROTTLE_RATES = MANY | {name: FEW[name] for name in names}


def test_a_person_is_told_to_wait_over_all_their_tokens_and_nobody_else_is(api: Any, settings: Any) -> None:
    only(settings, "any-user")
    answers = [api("alice").get(ME) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    told = answers[-1]
    assert told.json()["code"] == "throttled"
    assert told["Content-Type"] == "application/problem+json"
    assert 0 < int(told["Retry-After"]) <= 3600
    assert api("bob").get(ME).status_code == 200


def test_one_row_a_minute_tells_of_it(api: Any, settings: Any) -> None:
    only(settings, "any-user")
    for _ in range(8):
        api("alice").get(ME)
    row = JournalEntry.objects.get(verb="access.throttled")
    assert row.outcome == "denied"
    assert row.actor_id is not None


def test_an_address_is_told_to_wait_before_anything_is_looked_up(api: Any, settings: Any) -> None:
    only(settings, "any-address")
    assert [api(None).get(ME).status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    assert api("alice").get(ME).status_code == 429
    page = Client().get("/")
    assert (page.status_code, page["Content-Type"]) == (429, "text/html; charset=utf-8")
    assert int(page["Retry-After"]) > 0
    assert JournalEntry.objects.filter(verb="access.throttled").count() == 1


@pytest.mark.parametrize("path", ["/api/v1/auth/login/", "/sign-in/", "/admin/login/"])
def test_signing_in_is_limited_more_strictly(people: Any, settings: Any, path: str) -> None:
    only(settings, "sign-in-address")
    given = {"username": "alice", "password": "wrong"}
    answers = [Client().post(path, given).status_code for _ in range(4)]
    assert answers[3] == 429
    assert 429 not in answers[:3]
    assert Client().post(path, given | {"password": PASSWORD}).status_code == 429


def test_tickets_have_a_limit_of_their_own(api: Any, settings: Any) -> None:
    only(settings, "ticket-user")
    answers = [api("alice").post("/api/v1/auth/ws-ticket/").status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]


def test_a_stop_its_ticket_and_signing_out_are_never_limited(api: Any, robots: Any, settings: Any) -> None:
    robots("oht-01")
    settings.THROTTLE_RATES = dict.fromkeys(settings.THROTTLE_RATES, (0, 3600))
    assert api("bob").get(ME).status_code == 429
    for path in ("auth/stop-ticket/", "robots/oht-01/stop/", "robots/oht-01/stop", "stop/", "stop"):
        assert api("bob").post(f"/api/v1/{path}").status_code == 200, path
    for path in ("commands/1/hold/", "commands/1/release/"):
        assert api("alice").post(f"/api/v1/{path}").status_code == 404
    assert api("bob").post("/api/v1/auth/logout/").status_code == 200


def frozen() -> tuple[socket.socket, str]:
    """A bus that takes connections and never answers."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    return listener, f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def test_a_frozen_bus_lets_through_and_costs_one_time_out_in_some_seconds() -> None:
    listener, url = frozen()
    with listener:
        slow, began = Counter(url), time.monotonic()
        assert [slow.wait_s({"x": Rate(0, 60)}) for _ in range(500)] == [None] * 500
        assert time.monotonic() - began < 2.5 * throttles.SOCKET_TIMEOUT_S


def test_a_bus_that_is_away_lets_through_and_counts_again_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        gone = Counter(f"redis://127.0.0.1:{probe.getsockname()[1]}/0")
    assert gone.wait_s({"x": Rate(0, 60)}) is None
    gone._bus = Counter(settings.REDIS_URL)._bus
    assert gone.wait_s({"x": Rate(0, 60)}) is None
    monkeypatch.setattr(throttles, "ASK_AGAIN_AFTER_S", 0.0)
    assert math.ceil(gone.wait_s({"x": Rate(0, 60)}) or 0) > 0


def test_the_limits_leave_room_for_a_page_on_which_somebody_jogs() -> None:
    requests, window_s = settings.THROTTLE_RATES["any-user"]
    assert requests / window_s > 10 * 3
