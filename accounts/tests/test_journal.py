"""The journal: who, what, from where, in order, and no secret in it."""

import threading
from typing import Any

import pytest
from django.db import connections, transaction
from django.test import Client

from accounts import context, journal
from accounts.models import JournalEntry
from firmware.models import Robot
from robotctl.tests.system import SIMULATOR_TOKENS, register

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_refused_access_is_journalled_with_who_and_where(api: Any, people: Any) -> None:
    register("oht-01", "http://127.0.0.1:9")
    theirs = {"X-Request-ID": "my-request-1"}
    answer = api("bob").patch("/api/v1/robots/oht-01/", {"name": "mine"}, format="json", headers=theirs)
    row = JournalEntry.objects.get(verb="access.denied")
    assert (row.actor_id, row.outcome, row.request_id) == (people["bob"].pk, "denied", answer["X-Request-ID"])
    assert row.request_id != "my-request-1", "nobody puts rows beside those of somebody else's request"
    shown = api("otto").get("/api/v1/journal/?verb=access.denied").json()["results"][0]
    assert (shown["actor"], shown["address"], shown["outcome"]) == ("bob", "127.0.0.1", "denied")
    assert shown["target"] == "PATCH /api/v1/robots/oht-01/"


def test_what_one_may_not_see_looks_like_nothing_and_is_journalled(api: Any) -> None:
    register("oht-01", "http://127.0.0.1:9")
    hidden, missing = api("charlie").get("/api/v1/robots/oht-01/"), api("charlie").get("/api/v1/robots/nowhere/")
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert hidden.json() == missing.json()
    assert JournalEntry.objects.filter(verb="access.hidden").count() == 1


def test_a_form_from_elsewhere_is_refused_and_journalled(people: Any) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(people["alice"])
    answer = browser.post("/sign-out/")
    assert (answer.status_code, "too old" in answer.content.decode()) == (403, True)
    row = JournalEntry.objects.get(verb="access.denied")
    assert (row.target, row.actor_id) == ("POST /sign-out/", people["alice"].pk)


@pytest.mark.parametrize(
    ("name", "status"),
    [(None, 401), ("charlie", 403), ("bob", 403), ("alice", 403), ("erin", 403), ("otto", 200), ("ada", 200)],
)
def test_the_journal_is_for_those_with_the_right(api: Any, name: str | None, status: int) -> None:
    assert api(name).get("/api/v1/journal/").status_code == status


def test_configuration_changes_carry_before_and_after_and_never_a_secret(api: Any, people: Any) -> None:
    body = {
        "slug": "oht-07",
        "name": "Seven",
        "profile": "oht50",
        "base_url": "http://127.0.0.1:9",
        "credentials": SIMULATOR_TOKENS,
    }
    assert api("erin").post("/api/v1/robots/", body, format="json").status_code == 201
    assert (
        api("erin")
        .patch("/api/v1/robots/oht-07/", {"name": "Sieben", "credentials": {"admin": "s3cret-token"}}, format="json")
        .status_code
        == 200
    )
    row = JournalEntry.objects.get(verb="robot.changed")
    assert (row.robot, row.actor_id, row.data["changes"]["name"]) == ("oht-07", people["erin"].pk, ["Seven", "Sieben"])
    everything = str(list(JournalEntry.objects.values()))
    assert "s3cret-token" not in everything
    assert all(token not in everything for token in SIMULATOR_TOKENS.values())
    shown = api("erin").get("/api/v1/robots/oht-07/")
    assert "s3cret-token" not in shown.content.decode()
    assert shown.json()["credentials_set"] is True
    assert "s3cret-token" not in str(Robot.objects.values())


def test_secrets_are_redacted_by_the_name_of_their_field() -> None:
    data = {"password": "a", "nested": [{"api_token": "b", "name": "c"}], "credentials": {"admin": "d"}, "target_m": 4}
    assert journal.redact(data) == {
        "password": "•••",
        "nested": [{"api_token": "•••", "name": "c"}],
        "credentials": "•••",
        "target_m": 4,
    }


@pytest.mark.parametrize(("name", "value", "shown"), [
    ("new_password", "a", False), ("apiToken", "a", False), ("API_TOKEN", "a", False), ("private_key", "a", False),
    ("secret-key", "a", False), ("otp", "123456", False), ("credentials", {"admin": "a"}, False), ("tokens", ["a"], False),
    ("key", "a", False), ("token_key", "a", False), ("wifiPassword", "a", False), ("keyboard", "de", True), ("tokenizer", "x", True),
    ("monkey", "x", True), ("idempotency_key", "a", True), ("must_change_password", ["False", "True"], True),
    ("must_change_password", True, True), ("must_change_password", "hunter2", False), ("must_change_password", 1234, False),
    ("password_changed_at", ["None", "2026-01-02 03:04:05.678901"], True), ("password_changed_at", "2026-01-02T03:04:05.678Z", True),
    ("password_changed_at", "20260102", False), ("has_password", {"a": "b"}, False), ("password", None, True), ("password", "", True),
])  # fmt: skip
def test_a_secret_is_known_by_a_whole_word_of_its_name(name: str, value: Any, shown: bool) -> None:
    told = journal.redact({name: value})[name]
    assert told == value if shown else told in ("•••", ["•••"])


def test_a_row_is_rolled_back_with_what_it_tells_of() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        journal.record("something.done")
        raise ZeroDivisionError
    assert not JournalEntry.objects.filter(verb="something.done").exists()


def test_ids_are_seen_in_order_whoever_writes() -> None:
    """A reader that asks for `id > last` while four others write misses nothing."""
    written, over = 40, threading.Event()
    seen: list[int] = []
    last = JournalEntry.objects.values_list("pk", flat=True).first() or 0

    def write() -> None:
        for _ in range(written):
            journal.record("order.test")
        connections.close_all()

    def join() -> None:
        for writer in writers:
            writer.join()
        over.set()

    writers = [threading.Thread(target=write) for _ in range(4)]
    for thread in (*writers, threading.Thread(target=join)):
        thread.start()
    while True:
        finished = over.is_set()
        rows = list(journal.since(last).values_list("pk", flat=True))
        seen += rows
        last = rows[-1] if rows else last
        if finished and not rows:
            break
    assert seen == sorted(seen)
    assert JournalEntry.objects.filter(verb="order.test").count() == 4 * written == len(set(seen))


@pytest.mark.parametrize(("remote", "forwarded", "trusted", "expected"), [
    ("10.0.0.9", "1.2.3.4", [], "10.0.0.9"),
    ("10.0.0.9", "1.2.3.4", ["10.0.0.0/8"], "1.2.3.4"),
    ("10.0.0.9", "6.6.6.6, 1.2.3.4", ["10.0.0.0/8"], "1.2.3.4"),
    ("10.0.0.9", "1.2.3.4, 10.0.0.8", ["10.0.0.0/8"], "1.2.3.4"),
    ("8.8.8.8", "1.2.3.4", ["10.0.0.0/8"], "8.8.8.8"),
    ("10.0.0.9", "unknown", ["10.0.0.0/8"], "10.0.0.9"),
    ("10.0.0.9", "1.2.3.4, _hidden, 10.0.0.8", ["10.0.0.0/8"], "10.0.0.8"),
    ("10.0.0.9", "'; DROP TABLE x --", ["10.0.0.0/8"], "10.0.0.9"),
    ("10.0.0.9", "1.2.3.4:5678", ["10.0.0.0/8"], "1.2.3.4"),
    ("10.0.0.9", "1.2.3.999", ["10.0.0.0/8"], "10.0.0.9"),
    ("10.0.0.9", "[2001:DB8::0001]:443", ["10.0.0.0/8"], "2001:db8::1"),
    ("10.0.0.9", "2001:db8::1", ["10.0.0.0/8"], "2001:db8::1"),
    ("10.0.0.9", "[fe80::1%eth0]", ["10.0.0.0/8"], "fe80::1"),
    ("::ffff:10.0.0.9", "::ffff:1.2.3.4", ["10.0.0.0/8"], "1.2.3.4"),
    ("fe80::1%eth0", "1.2.3.4", ["10.0.0.0/8"], "fe80::1"),
    ("10.0.0.9", ", ,", ["10.0.0.0/8"], "10.0.0.9"),
    ("", "1.2.3.4", ["10.0.0.0/8"], ""),
    ("@", "1.2.3.4", ["10.0.0.0/8"], ""),
])  # fmt: skip
def test_a_forwarded_address_is_believed_only_from_trusted_proxies(
    settings: Any, remote: str, forwarded: str, trusted: list[str], expected: str
) -> None:
    import dataclasses
    import ipaddress

    settings.ENV = dataclasses.replace(settings.ENV, trusted_proxies=[ipaddress.ip_network(one) for one in trusted])
    assert context.client_address(remote, forwarded) == expected


def test_lists_are_filtered_by_name_ordered_and_refuse_what_they_do_not_know(api: Any) -> None:
    register("oht-01", "http://127.0.0.1:9")
    register("oht-02", "http://127.0.0.1:9")
    api("bob").patch("/api/v1/robots/oht-01/", {"name": "x"}, format="json")
    otto = api("otto")
    assert {row["actor"] for row in otto.get("/api/v1/journal/?actor=bob").json()["results"]} == {"bob"}
    assert "bob" not in {row["actor"] for row in otto.get("/api/v1/journal/?actor=system").json()["results"]}
    refused = otto.get("/api/v1/journal/?colour=red")
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["colour"])
    slugs = [
        [row["slug"] for row in otto.get(f"/api/v1/robots/?ordering={order}").json()["results"]]
        for order in ("slug", "-slug")
    ]
    assert slugs == [["oht-01", "oht-02"], ["oht-02", "oht-01"]]
