"""Lockout: guessing waits, longer each time; nobody who is in is put out, and stop knows nothing of it."""

import os
import re
import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.hashers import Argon2PasswordHasher, make_password
from django.db import connection
from django.db.models import F
from django.test import Client
from django.utils import timezone

from accounts import lockout
from accounts.hashing import OneAtATime
from accounts.models import Guess, JournalEntry, User
from robotctl.tests.fixtures import PASSWORD
from robotctl.tests.system import ROOT
from robotctl.tests.told import about

pytestmark = pytest.mark.django_db(transaction=True)
LOGIN = "/api/v1/auth/login/"


def guess(api: Any, name: str, password: str = "wrong-horse-1", times: int = 1, address: str = "127.0.0.1") -> Any:
    for _ in range(times):
        body = {"username": name, "password": password}
        answer = api(None).post(LOGIN, body, format="json", REMOTE_ADDR=address)
    return answer


def later(seconds: float) -> None:
    """So much time has passed since the last failure."""
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(seconds=seconds))


def test_waits_begin_after_the_limit_and_double_up_to_an_hour() -> None:
    waits = [lockout.wait_after(failures, 5).total_seconds() for failures in (0, 4, 5, 6, 7, 11, 12, 10_000)]
    assert waits == [0, 0, 30, 60, 120, 1920, 3600, 3600]


def test_after_five_failures_even_the_right_password_waits_and_is_told_how_long(api: Any) -> None:
    assert guess(api, "alice", times=5).status_code == 401
    answer = guess(api, "alice", PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (429, "locked_out")
    assert 0 < int(answer["Retry-After"]) <= 31
    later(31)
    assert guess(api, "alice", PASSWORD).status_code == 200
    assert guess(api, "alice").status_code == 401  # and it begins anew
    assert guess(api, "alice", PASSWORD).status_code == 200


def test_each_further_failure_waits_twice_as_long_and_guesses_during_a_wait_do_not_count(api: Any) -> None:
    guess(api, "alice", times=5)
    guess(api, "alice", times=3)
    later(31)
    assert guess(api, "alice").status_code == 401
    assert 31 < int(guess(api, "alice", PASSWORD)["Retry-After"]) <= 61


def test_the_words_are_the_same_whether_or_not_somebody_has_that_name(api: Any) -> None:
    answers = []
    for name in ("alice", "nobody-here"):
        first = guess(api, name, times=5).json()
        locked = guess(api, name).json()
        answers.append((first, re.sub(r"\d+", "N", locked["detail"]), locked["code"], locked["status"]))
        lockout.forget(name)
    assert answers[0] == answers[1]


def test_a_name_that_nobody_has_takes_as_long_to_refuse(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OneAtATime, "memory_cost", Argon2PasswordHasher.memory_cost)
    monkeypatch.setattr(OneAtATime, "time_cost", Argon2PasswordHasher.time_cost)
    User.objects.filter(username="alice").update(password=make_password(PASSWORD))

    def least_work(name: str) -> float:
        """Of this thread, whatever else the machine does: with one lane it hashes here."""
        times = []
        for _ in range(3):
            began = time.thread_time()
            guess(api, name)
            times.append(time.thread_time() - began)
        return min(times)

    assert least_work("nobody-here") > least_work("alice") / 2


def test_one_row_for_each_lockout_with_the_count_and_no_password_typed_as_a_name(api: Any) -> None:
    guess(api, "alice", times=9)
    (row,) = JournalEntry.objects.filter(verb="auth.locked_out")
    assert (about(row), row.outcome, row.data["count"], row.data["by"]) == ("alice", "denied", 5, "user name")
    guess(api, "my-secret-pass-phrase", times=5)
    assert JournalEntry.objects.filter(verb="auth.locked_out").count() == 2
    everything = str(list(JournalEntry.objects.values())) + str(list(AccessAttempt.objects.values()))
    assert "my-secret-pass-phrase" not in everything
    assert "wrong-horse-1" not in everything


def test_an_address_that_tries_many_names_waits_and_others_do_not(api: Any) -> None:
    for number in range(lockout.ADDRESS_LIMIT):
        guess(api, f"name-{number}", address="10.9.9.9")
    assert guess(api, "alice", PASSWORD, address="10.9.9.9").status_code == 429
    assert guess(api, "alice", PASSWORD, address="10.9.9.8").status_code == 200
    assert JournalEntry.objects.get(verb="auth.locked_out").data["by"] == "address"
    assert api("ada").post("/api/v1/users/alice/unlock/", {"address": "10.9.9.9"}, format="json").status_code == 200
    assert guess(api, "alice", PASSWORD, address="10.9.9.9").status_code == 200


def test_a_forwarded_address_is_believed_from_a_trusted_proxy_only(api: Any) -> None:
    for number in range(lockout.ADDRESS_LIMIT):
        body = {"username": f"name-{number}", "password": "x"}
        api(None).post(
            LOGIN, body, format="json", REMOTE_ADDR="10.9.9.9", headers={"X-Forwarded-For": f"1.2.3.{number}"}
        )
    assert guess(api, "alice", PASSWORD, address="10.9.9.9").status_code == 429


def test_any_text_in_the_header_of_a_trusted_proxy_is_counted_at_a_valid_address(api: Any, settings: Any) -> None:
    import dataclasses
    import ipaddress

    settings.ENV = dataclasses.replace(settings.ENV, trusted_proxies=[ipaddress.ip_network("10.0.0.0/8")])
    for number, given in enumerate(
        ("unknown", "1.2.3.4:5", "[2001:db8::1]:443", "fe80::1%eth0", "x" * 300, "1.2.3.4, %")
    ):
        body = {"username": f"name-{number}", "password": "x"}
        headers = {"X-Forwarded-For": given}
        assert api(None).post(LOGIN, body, format="json", REMOTE_ADDR="10.9.9.9", headers=headers).status_code == 401
    counted = set(AccessAttempt.objects.values_list("ip_address", flat=True))
    assert counted == {"10.9.9.9", "1.2.3.4", "2001:db8::1", "fe80::1"}


def test_a_sign_in_at_an_address_does_not_buy_it_more_guesses_at_other_names(api: Any) -> None:
    guess(api, "bob", times=5)
    assert guess(api, "alice", PASSWORD).status_code == 200
    assert guess(api, "bob", PASSWORD).status_code == 429


def test_the_page_says_it_plainly_and_signs_nobody_in(people: Any) -> None:
    browser = Client()
    for _ in range(5):
        assert browser.post("/sign-in/", {"username": "bob", "password": "x"}).status_code == 200
    answer = browser.post("/sign-in/", {"username": "bob", "password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    assert b"Too many failed attempts" in answer.content
    assert browser.get("/").status_code == 302


def test_the_admin_has_no_sign_in_of_its_own(people: Any) -> None:
    answer = Client().get("/admin/login/?next=/admin/")
    assert (answer.status_code, answer["Location"]) == (302, "/sign-in/?next=/admin/")
    bob = Client()
    bob.force_login(people["bob"])
    assert bob.get("/admin/login/").status_code == 403


def test_a_lockout_ends_no_session_and_no_token_and_stop_goes_on(api: Any, robots: Any, people: Any) -> None:
    robots("oht-01")
    token, browser = api("bob"), Client()
    browser.force_login(people["bob"])
    ticket = token.post("/api/v1/auth/stop-ticket/").json()["ticket"]
    guess(api, "bob", times=6)
    assert guess(api, "bob", PASSWORD).status_code == 429
    assert token.get("/api/v1/auth/me/").status_code == 200
    assert browser.get("/").status_code == 200
    stopped = token.post("/api/v1/stop/", {}, format="json", headers={"X-Stop-Ticket": ticket})
    assert [one["robot"] for one in stopped.json()["results"]] == ["oht-01"]
    from accounts import stop_tickets

    stop_tickets.learn_revocations()
    assert stop_tickets.read(ticket) is not None


def test_only_an_administrator_unlocks_and_it_is_journalled(api: Any) -> None:
    guess(api, "alice", times=5)
    for name, status in ((None, 401), ("bob", 403), ("otto", 403), ("alice", 403)):
        assert api(name).post("/api/v1/users/alice/unlock/").status_code == status
    assert api("ada").post("/api/v1/users/nobody/unlock/").status_code == 404
    assert guess(api, "alice", PASSWORD).status_code == 429
    assert api("ada").post("/api/v1/users/alice/unlock/").status_code == 200
    assert guess(api, "alice", PASSWORD).status_code == 200
    row = JournalEntry.objects.get(verb="auth.unlocked")
    assert (about(row), row.data["count"], row.actor_id) == ("alice", 5, User.objects.get(username="ada").pk)


def test_the_admin_unlocks_too(api: Any, people: Any) -> None:
    guess(api, "alice", times=5)
    chosen = {"action": "unlock", "_selected_action": [people["alice"].pk]}
    ada, otto = Client(), Client()
    otto.force_login(people["otto"])
    otto.post("/admin/accounts/user/", chosen)
    assert guess(api, "alice", PASSWORD).status_code == 429
    ada.force_login(people["ada"])
    assert ada.post("/admin/accounts/user/", chosen).status_code == 302
    assert guess(api, "alice", PASSWORD).status_code == 200


def test_guesses_at_the_current_password_of_a_session_count_as_well(api: Any) -> None:
    alice = api("alice")
    body = {"old_password": "x", "new_password": "seven-otters-paint-clocks"}
    codes = [alice.post("/api/v1/auth/password/", body, format="json").status_code for _ in range(6)]
    assert codes == [400] * 5 + [429]
    assert alice.get("/api/v1/auth/me/").status_code == 200


def test_of_many_guesses_at_once_no_more_are_looked_at_than_one_after_the_other(api: Any, people: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connections

    def one(number: int) -> int:
        try:
            body = {"username": "alice", "password": f"wrong guess {number}"}
            return int(api(None).post("/api/v1/auth/login/", body).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(one, range(24)))
    assert answers.count(401) == lockout.NAME_LIMIT and answers.count(429) == 24 - lockout.NAME_LIMIT


GUESSES = """
import sys, threading
import django
django.setup()
from robotctl.tests.hashes import hash_cheaply
hash_cheaply()
from django.db import connections
from django.http import HttpRequest
from accounts import context, sign_in

def guess(number):
    context.enter(address="10.9.9.9")
    began.wait()
    try:
        sign_in.enter(HttpRequest(), username=sys.argv[2] % number if "%" in sys.argv[2] else sys.argv[2], password=sys.argv[3])
        told.append("in")
    except sign_in.Refused as refused:
        told.append(refused.code)
    finally:
        connections.close_all()

told, began = [], threading.Event()
threads = [threading.Thread(target=guess, args=(number,)) for number in range(int(sys.argv[1]))]
for one in threads: one.start()
print("ready", flush=True)
sys.stdin.readline()
began.set()
for one in threads: one.join()
print(*told, flush=True)
"""


def at_once(processes: int, each: int, name: str, password: str) -> list[str]:
    """What the guesses of several processes of their own, begun at the same moment, are told."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{database['NAME']}"
    else:
        who = f"{database['USER']}:{database['PASSWORD']}@" if database["USER"] else ""
        url = f"postgres://{who}{database['HOST']}:{database['PORT'] or 5432}/{database['NAME']}"
    environment = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "robotctl.settings"}
    arguments = [sys.executable, "-c", GUESSES, str(each), name, password]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(arguments, cwd=ROOT, env=environment, **pipes) for _ in range(processes)]
    for one in running:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in running:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    return [word for one in running for word in one.communicate(timeout=60)[0].split()]


def test_of_many_guesses_in_several_processes_no_more_are_compared_than_the_limit(people: Any) -> None:
    told = at_once(3, 6, "alice", "wrong-horse-1")
    assert len(told) == 18
    assert told.count("authentication_failed") == lockout.NAME_LIMIT
    assert told.count("locked_out") == 18 - lockout.NAME_LIMIT
    assert not Guess.objects.exists()
    assert JournalEntry.objects.filter(verb="auth.locked_out").count() == 1


def test_of_many_names_guessed_at_once_from_an_address_no_more_are_compared_than_its_limit(people: Any) -> None:
    told = at_once(2, 14, "name-%s", "wrong-horse-1")
    assert told.count("authentication_failed") == lockout.ADDRESS_LIMIT
    assert told.count("locked_out") == 28 - lockout.ADDRESS_LIMIT


def test_who_signs_in_rightly_many_times_at_once_is_let_in_each_time(people: Any) -> None:
    assert at_once(3, 5, "alice", PASSWORD) == ["in"] * 15


def test_a_guess_whose_process_died_holds_nobody_up_for_long(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    guess(api, "alice", times=lockout.NAME_LIMIT - 1)
    left = Guess.objects.create(counted=lockout.counted("alice"), address="127.0.0.1")
    monkeypatch.setattr(lockout, "PATIENCE_S", 0.1)
    assert guess(api, "alice", PASSWORD).json()["code"] == "locked_out"  # as long as it may yet fail
    Guess.objects.filter(pk=left.pk).update(at=timezone.now() - lockout.LONGEST_GUESS)
    assert guess(api, "alice", PASSWORD).status_code == 200
    assert not Guess.objects.exists()


def test_no_more_are_compared_at_once_than_are_over_before_they_are_forgotten(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [Guess(counted=f"{n:064x}", address=f"10.0.0.{n}") for n in range(lockout.MOST_AT_ONCE)]
    Guess.objects.bulk_create(others)
    monkeypatch.setattr(lockout, "PATIENCE_S", 0.1)
    assert guess(api, "alice", PASSWORD).status_code == 429
    Guess.objects.order_by("pk").first().delete()  # type: ignore[union-attr]
    assert guess(api, "alice", PASSWORD).status_code == 200


def test_no_transaction_is_open_while_a_password_is_compared(people: Any) -> None:
    with lockout.turn("alice"):
        assert not connection.in_atomic_block
        assert Guess.objects.count() == 1
