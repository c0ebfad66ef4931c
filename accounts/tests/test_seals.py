"""Whatever is done to the journal in the database itself is found, and named, wherever somebody looks."""

import base64
import dataclasses
import io
import json
import threading
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import call_command
from django.db import DatabaseError, connection, connections, transaction

from accounts import journal, journal_checks, journal_guard, journal_health, sealed_rows, seals, verify_views
from accounts import seal_format as form
from accounts.journal_models import JournalCheck, JournalEntry, JournalMaintenance, Seal
from accounts.journal_walk import walk
from accounts.sealing import Sealing
from accounts.tests.attacks import attack, copy_of, newest, recorded
from robotctl.tests.fixtures import VAR, until

pytestmark = pytest.mark.django_db(transaction=True)
TABLE = "accounts_journalentry"


@pytest.fixture(autouse=True)
def begun(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What setting up has recorded is seal 1; a slow machine checks as much as a fast one."""
    monkeypatch.setattr(journal_checks, "BUDGET_S", 60.0)
    monkeypatch.setattr(verify_views, "BUDGET_S", 60.0)
    journal.record("test.begun")
    seals.seal()


def verified() -> tuple[int, str]:
    """`manage.py verify_journal`: exit code and what it prints."""
    out = io.StringIO()
    try:
        call_command("verify_journal", stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def everywhere(api: Any) -> list[str]:
    """What the four places say: the check in the background, the command, the API, `/health/ready`."""
    seals.seal()
    made = journal_checks.check()
    code, printed = verified()
    verdict = api("otto").get("/api/v1/journal/verify/").json()
    ready = api(None).get("/health/ready").json()["checks"]["journal"]
    assert (code, verdict["intact"], ready["status"]) == (1, False, "degraded"), (code, verdict, ready)
    assert JournalEntry.objects.filter(verb="journal.broken", outcome="failed").exists()
    words = [one["words"] for one in made.findings]
    assert sorted(words) == sorted(one["words"] for one in verdict["findings"]), (words, verdict["findings"])
    for one in words:
        assert one in printed
        assert one in ready["detail"]
    return sorted(words)


def test_what_was_not_touched_is_intact(api: Any) -> None:
    recorded(3)
    recorded(3)
    assert journal_checks.check().findings == []
    assert verified()[0] == 0
    journal.record("test.unsealed")
    assert f"{JournalEntry.objects.count() - 1} rows, 1 rows not sealed yet" in verified()[1]
    verdict = api("otto").get("/api/v1/journal/verify/").json()
    assert (verdict["intact"], verdict["complete"], verdict["seals"], verdict["next"]) == (True, True, 3, None)
    assert api("bob").get("/api/v1/journal/verify/").status_code == 403
    assert api("otto").get("/api/v1/journal/verify/?from_seal=x").status_code == 400


CHANGES = [
    "reason = 'becausE'", "at = '2020-01-01 00:00:00'", "actor_id = 7", "person_id = 7", "origin_id = 7", "request_id = 'x'",
    "verb = 'test.dond'", "target = ''", "robot = 'oht-66'", "outcome = 'failed'", "data = '{\"n\": 2}'",
]  # fmt: skip


def test_rows_that_were_altered(api: Any) -> None:
    _alter(api, CHANGES)


def test_rows_that_django_could_not_even_read(api: Any) -> None:
    if connection.vendor == "postgresql":
        pytest.skip("PostgreSQL takes no such thing")
    rows = _alter(api, ["data = data || ' '", "data = '{'", "reason = CAST(x'ff' AS TEXT)", "at = 'never'", "late = 7"])
    attack(f"UPDATE {TABLE} SET at = '2020-01-01', data = '{{}}', late = FALSE, reason = '' WHERE id >= {rows[0]}")


def _alter(api: Any, changes: list[str]) -> list[int]:
    """A row for each of the changes."""
    rows = recorded(len(changes))
    attack(*(f"UPDATE {TABLE} SET {change} WHERE id = {row}" for row, change in zip(rows, changes, strict=True)))
    assert everywhere(api) == sorted(f"Row {row} was altered after it was sealed." for row in rows)
    return rows


def test_rows_that_were_deleted(api: Any) -> None:
    rows = [*recorded(), *recorded()]
    attack(f"DELETE FROM {TABLE} WHERE id IN ({rows[2]}, {rows[5]})")
    assert everywhere(api) == sorted(f"Row {one} is missing." for one in (rows[2], rows[5]))


def test_rows_that_changed_places(api: Any) -> None:
    rows = [*recorded(), *recorded()]
    one, other = rows[1], rows[6]
    attack(
        *(f"UPDATE {TABLE} SET id = {to} WHERE id = {row}" for row, to in ((one, 10**6), (other, one), (10**6, other)))
    )
    words = [f"Row {other} stands at the place of row {one}.", f"Row {one} stands at the place of row {other}."]
    assert everywhere(api) == sorted(words)


def test_a_row_that_was_put_between(api: Any) -> None:
    first = recorded()
    with pytest.raises(ZeroDivisionError), transaction.atomic():  # on PostgreSQL a row taken back leaves a gap
        journal.record("test.taken_back")
        raise ZeroDivisionError
    gap = first[-1] + 1
    if connection.vendor == "sqlite":
        attack(f"UPDATE sqlite_sequence SET seq = {gap} WHERE name = '{TABLE}'")
    recorded()
    attack(copy_of(first[0], gap))
    assert everywhere(api) == [f"Row {gap} was inserted: no seal knows it."]


def test_a_row_before_all_others(api: Any) -> None:
    rows = recorded()
    attack(copy_of(rows[0], -1))
    assert everywhere(api) == ["Row -1 was inserted: no seal knows it."]


def test_the_newest_seals_with_their_rows(api: Any) -> None:
    recorded()
    recorded()
    gone = newest()
    attack(
        f"DELETE FROM {TABLE} WHERE id >= {gone.first_id}", f"DELETE FROM accounts_seal WHERE number = {gone.number}"
    )
    rows, made_here = f"rows {gone.first_id} to {gone.last_id}", f"made here ({gone.digest})"
    words = f"Seal {gone.number} is missing, and no seal closes {rows} any more: seal {gone.number} was {made_here}."
    made = journal_checks.check()
    assert [one["words"] for one in made.findings] == [words]
    seals.seal()  # the row that tells of it becomes a seal of that number
    assert everywhere(api) == [f"Seal {gone.number} is not the one that was {made_here}, which closed {rows}."]
    assert gone.digest in (VAR / "journal-head").read_text()
    out = io.StringIO()
    call_command("verify_journal", accept_loss="restored from the backup of yesterday", stdout=out)
    assert "Intact." in out.getvalue()


def test_a_seal_between(api: Any) -> None:
    first, second = recorded(), recorded()
    recorded()
    number = newest().number - 1
    attack(f"DELETE FROM accounts_seal WHERE number = {number}")
    words = f"Seal {number} is missing. Nothing vouches for the {len(second)} rows {second[0]} to {second[-1]}."
    assert first
    assert everywhere(api) == [words]


SEAL_CHANGES = [
    "sealed_at = '2020-01-01 00:00:00'", "first_id = first_id + 1", "last_id = last_id + 1", "last_id = last_id - 1",
    "count = count + 1", "previous = 'a'", "digest = 'a'", "witness = substr(witness, 1, 32)", "signature = 'a'", "key = 'a'",
]  # fmt: skip


def test_seals_that_were_altered(api: Any) -> None:
    altered = []
    for _ in SEAL_CHANGES:
        recorded()
        altered.append(newest().number)
        recorded()
    places = zip(altered, SEAL_CHANGES, strict=True)
    attack(*(f"UPDATE accounts_seal SET {change} WHERE number = {number}" for number, change in places))
    words = everywhere(api)
    told = {f"Seal {number} was altered: its signature does not hold." for number in altered}
    assert told <= set(words)
    assert not [one for one in words if one.startswith("Row")], words


def test_everything_sealed_again_with_another_key(api: Any) -> None:
    rows = recorded()
    recorded()
    attack(f"UPDATE {TABLE} SET reason = 'nothing' WHERE id = {rows[0]}")
    forged = _forged(Ed25519PrivateKey.generate())
    attack(*forged)
    words = everywhere(api)
    assert [one for one in words if "not trusted" in one] == [
        f"Seal {number} is signed with a key that is not trusted." for number in (1, 2, 3)
    ]


def _forged(key: Ed25519PrivateKey) -> list[str]:
    previous, statements = form.NOTHING, []
    hexed = "'\\x{}'" if connection.vendor == "postgresql" else "x'{}'"
    for old in sealed_rows.read_seals(Seal.objects.all(), limit=100):
        closing = form.Closing()
        for row in sealed_rows.read(JournalEntry.objects.filter(pk__range=(old["first_id"], old["last_id"]))):
            closing.add(row)
        made = form.sign(closing.seal(old["number"], sealed_at=old["sealed_at"], previous=previous), key)
        previous = made["digest"]
        texts = ", ".join(f"{name} = '{made[name]}'" for name in ("previous", "digest", "key", "signature"))
        witness = hexed.format(base64.b64decode(made["witness"]).hex())
        statements.append(f"UPDATE accounts_seal SET {texts}, witness = {witness} WHERE number = {made['number']}")
    return statements


@pytest.mark.parametrize("table", ["accounts_journalentry", "accounts_seal"])
def test_the_database_itself_refuses(table: str) -> None:
    recorded()
    name = "id" if table == TABLE else "number"
    statements = [f"UPDATE {table} SET {name} = {name} + 100", f"DELETE FROM {table}"]
    if connection.vendor == "postgresql":
        statements += [f"TRUNCATE {table}"]
    else:
        statements += [
            f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
            f"REPLACE INTO {table} SELECT * FROM {table}",
        ]
    for statement in statements:
        with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
            cursor.execute(statement)
    assert verified()[0] == 0


def test_triggers_that_are_gone_are_told(api: Any) -> None:
    assert journal_health.guard_is_there(["default"]) == []
    name = "accounts_seal_no_delete"
    on = " ON accounts_seal" if connection.vendor == "postgresql" else ""
    made = journal_guard.POSTGRESQL if on else journal_guard.SQLITE
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {name}{on}")
        try:
            ready = api(None).get("/health/ready").json()["checks"]["journal"]
            assert (ready["status"], name in ready["detail"]) == ("degraded", True)
            assert [one.id for one in journal_health.guard_is_there(["default"])] == ["accounts.W001"]
        finally:
            (again,) = (one for one in made if one.startswith(f"CREATE TRIGGER {name} "))
            cursor.execute(again)


def run(statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for one in statements:
            cursor.execute(one)


def test_triggers_that_do_something_else_are_told(api: Any) -> None:
    name, table = "accounts_seal_no_update", "accounts_seal"
    if connection.vendor == "postgresql":
        change = [f"ALTER TABLE {table} DISABLE TRIGGER {name}"], [f"ALTER TABLE {table} ENABLE TRIGGER {name}"]
        function = next(one for one in journal_guard.POSTGRESQL if f"{table}_refuse() RETURNS" in one)
        changes = [change, ([function.replace("<> 'UPDATE'", "<> 'x'")], [function])]
    else:
        (made,) = (one for one in journal_guard.SQLITE if one.startswith(f"CREATE TRIGGER {name} "))
        other = f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} WHEN 0 BEGIN SELECT 1; END"
        changes = [([f"DROP TRIGGER {name}", other], [f"DROP TRIGGER {name}", made])]
    for broken, mended in changes:
        run(broken)
        try:
            assert name in api(None).get("/health/ready").json()["checks"]["journal"]["detail"]
            assert name in journal_health.guard_is_there(["default"])[0].msg
        finally:
            run(mended)
    assert journal_guard.weaknesses() == []


def test_maintenance_that_was_left_open_is_told(api: Any, capsys: pytest.CaptureFixture[str]) -> None:
    left = JournalMaintenance.objects.create(reason="mine")
    words = f"The journal's maintenance is open since {journal.iso(left.at)}: anybody may delete."
    ready = api(None).get("/health/ready").json()["checks"]["journal"]
    assert (ready["status"], words in ready["detail"]) == ("degraded", True)
    assert journal_health.state()["weaknesses"] == [words]
    code, printed = verified()
    assert code == 1 and words in printed and printed.endswith("Intact. NOT GUARDED.\n")
    left.delete()
    assert journal_guard.weaknesses() == [] and verified()[0] == 0


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
