"""Seals are made, chained and checked, whoever does it and however late."""

import base64
import dataclasses
import json
import threading
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connections

from accounts import journal, journal_checks, journal_guard, journal_health, seals
from accounts.journal_models import JournalCheck, JournalEntry, Seal
from accounts.journal_walk import walk
from accounts.sealing import Sealing
from accounts.tests.attacks import attack, newest, recorded, verified
from robotctl.tests.fixtures import VAR, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("begun")]
TABLE = "accounts_journalentry"


def test_forgetting_a_person_keeps_the_chain(people: dict[str, Any]) -> None:
    from accounts.people import forget

    journal.record("test.done", actor=people["bob"], person=people["bob"])
    recorded()
    forget(people["bob"], people["ada"], reason="asked for it")
    seals.seal()
    assert verified()[0] == 0


def test_newest_seals_that_are_gone_with_their_rows_are_named_with_them() -> None:
    recorded()
    kept = newest()
    for number in range(2):
        journal.record("test.done", data={"n": number})
        seals.seal()
    gone = list(JournalEntry.objects.filter(pk__gt=kept.last_id).order_by("pk").values_list("pk", flat=True))
    with journal_guard.maintenance("as whoever has the database could"):
        JournalEntry.objects.filter(pk__in=gone).delete()
        Seal.objects.filter(number__gt=kept.number).delete()
    (found,) = seals.head_findings()
    assert found.kind == "head_missing"
    assert f"Seals {kept.number + 1} to {kept.number + 2} are missing" in found.words
    assert f"no seal closes rows {kept.last_id + 1} to {gone[-1]} any more" in found.words


def test_a_head_of_an_older_version_is_read_and_written_anew() -> None:
    recorded()
    head = json.loads(seals.head_file().read_text())
    seals.head_file().write_text(json.dumps({name: head[name] for name in ("number", "count", "sealed_at", "digest")}))
    assert seals.head_findings() == []
    gone = newest()
    recorded()
    assert json.loads(seals.head_file().read_text())["last_id"] == newest().last_id
    seals.head_file().write_text(json.dumps({"number": gone.number + 9, "digest": "0" * 64}))
    (found,) = seals.head_findings()
    assert found.kind == "head_missing" and "its rows" in found.words


def test_of_two_that_seal_at_once_the_newer_head_stays() -> None:
    recorded()
    earlier = seals.head_file().read_text()
    recorded()
    kept = seals.head_file().read_text()
    assert json.loads(earlier)["number"] < json.loads(kept)["number"]
    seals._write_head(json.loads(earlier))
    assert seals.head_file().read_text() == kept


def test_what_the_scheduled_work_leaves_open_is_closed_beside_it() -> None:
    before = newest().number
    journal.record("test.done")
    patient = Sealing(every_s=0.01)
    patient.start()
    time.sleep(0.3)
    patient.end()
    assert seals.tail().count == 1, "it waits for the scheduled work first"
    sealing = Sealing(every_s=0.01, late_s=0.2)
    sealing.start()
    try:
        until(lambda: seals.tail().count == 0)
    finally:
        sealing.end()
    assert newest().number == before + 1


def test_two_that_seal_at_once_make_one_chain() -> None:
    begin = threading.Barrier(4)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            begin.wait()
            for number in range(15):
                journal.record("test.done", data={"n": number})
                seals.seal()
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failed
    seals.seal()
    report = walk().report
    assert (report.intact, report.rows, report.unsealed) == (True, JournalEntry.objects.count(), 0)
    assert seals.head_findings() == []


def test_many_rows_take_several_seals_and_a_budget_goes_on_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "MOST", 3)
    journal.record_all([journal.entry("test.done", data={"n": number}) for number in range(10)])
    seals.seal()
    assert newest().number == 5
    monkeypatch.setattr(journal_checks, "NEWEST", 1)
    monkeypatch.setattr(journal_checks, "BUDGET_S", 0.0)
    checks = [journal_checks.check() for _ in range(6)]
    assert [(one.first_seal, one.last_seal) for one in checks] == [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (1, 1)]
    state = journal_health.state()
    assert (state["seals"], state["whole_checked_at"]) == (5, journal.iso(checks[4].ended_at))


def test_a_finding_is_told_once_and_stays_until_its_place_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "MOST", 2)
    monkeypatch.setattr(journal_checks, "NEWEST", 1)
    monkeypatch.setattr(journal_checks, "BUDGET_S", 0.0)
    rows = recorded(8)
    attack(f"UPDATE {TABLE} SET reason = 'x' WHERE id = {rows[0]}")
    for _ in range(2):
        journal_checks.check()
    for _ in range(7):
        assert [one["id"] for one in journal_checks.check().findings] == [rows[0]]
    assert JournalEntry.objects.filter(verb="journal.broken").count() == 1
    attack(f"UPDATE {TABLE} SET reason = 'because' WHERE id = {rows[0]}")
    for _ in range(6):
        journal_checks.check()
    assert journal_health.state()["findings"] == []


def test_a_row_is_told_once_whether_it_looks_altered_or_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "MOST", 2)
    monkeypatch.setattr(journal_checks, "NEWEST", 1)
    rows = recorded(8)
    one, other = rows[1], rows[6]
    attack(
        *(f"UPDATE {TABLE} SET id = {to} WHERE id = {row}" for row, to in ((one, 10**6), (other, one), (10**6, other)))
    )
    kinds = set()
    for budget_s in (0.0,) * 6 + (60.0,) + (0.0,) * 6 + (60.0,):
        monkeypatch.setattr(journal_checks, "BUDGET_S", budget_s)
        kinds |= {finding["kind"] for finding in journal_checks.check().findings if finding["id"] == one}
    assert {"row_altered", "row_reordered"} <= kinds
    told = JournalEntry.objects.filter(verb="journal.broken").order_by("pk")
    found = [finding["id"] for row in told for finding in row.data["findings"]]
    assert sorted(found) == [one, other]


def test_checks_do_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_checks, "KEPT", 3)
    recorded()
    for _ in range(6):
        journal_checks.check()
    assert JournalCheck.objects.count() == 3


def test_a_key_of_before_is_trusted_and_a_new_one_signs(settings: Any) -> None:
    recorded()
    fresh = base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()
    settings.ENV = dataclasses.replace(settings.ENV, seal_key=fresh)
    recorded()
    assert len({one.key for one in Seal.objects.all()}) == 2
    assert walk().report.intact


def test_the_key_is_nowhere_but_in_its_file(caplog: pytest.LogCaptureFixture, settings: Any) -> None:
    with caplog.at_level("DEBUG"):
        recorded()
    file = VAR / "keys" / "journal-seal"
    assert (file.stat().st_mode & 0o777, file.read_text().strip()) == (0o600, settings.ENV.seal_key)
    assert newest().digest in caplog.text
    assert settings.ENV.seal_key not in caplog.text
    assert settings.ENV.seal_key not in str(list(Seal.objects.values()))


def test_rows_that_wait_too_long_for_a_seal_are_told(api: Any) -> None:
    from datetime import timedelta

    from django.utils import timezone

    seals.seal()
    row = journal.entry("test.done")
    row.at = timezone.now() - timedelta(seconds=70)
    journal.record_all([row])
    check = api(None).get("/health/ready").json()["checks"]["seals"]
    assert (check["status"], "1 rows are not sealed yet" in check["detail"]) == ("degraded", True)
    seals.seal()
    assert api(None).get("/health/ready").json()["checks"]["seals"]["status"] == "ok"
