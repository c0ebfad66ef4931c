"""Whatever is done to the journal in the database itself is found, and named, wherever somebody looks."""

import base64
import io
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import call_command
from django.db import connection, transaction

from accounts import journal, journal_checks, sealed_rows, seals
from accounts import seal_format as form
from accounts.journal_models import JournalEntry, Seal
from accounts.tests.attacks import attack, copy_of, newest, recorded, verified
from robotctl.tests.fixtures import VAR

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("begun")]
TABLE = "accounts_journalentry"


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
