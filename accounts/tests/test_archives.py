"""Retention: whole sealed ranges go to files that still verify; nobody can pretend that rows were archived."""

import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts import archives, journal_checks, journal_guard, seals, verify
from accounts.journal_models import JournalArchive, JournalEntry, Seal
from accounts.journal_walk import walk
from accounts.tests.attacks import attack, newest, recorded
from robotctl.problems import Problem

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_archive() -> Any:
    yield
    for file in archives.folder().glob("*"):
        file.unlink()


def archived() -> tuple[JournalArchive, Path]:
    """Two seals archived, one left."""
    recorded(5)
    recorded(5)
    before = timezone.now()
    recorded(3)
    made = archives.archive(before=before, reason="older than we keep")
    assert made is not None
    return made, archives.folder() / made.file


def test_a_range_goes_to_a_file_that_verifies_and_keeps_its_seals() -> None:
    made, path = archived()
    assert not JournalEntry.objects.filter(pk__lte=made.last_id).exists()
    assert Seal.objects.filter(number__lte=made.last_seal).count() == made.last_seal
    verdict = verify.verify(path, seals.trusted())
    assert (verdict.report.intact, verdict.report.rows) == (True, made.count)
    assert path.stat().st_mode & 0o777 == 0o600
    row = JournalEntry.objects.get(verb="journal.archived")
    assert (row.reason, row.data["sha256"], row.data["count"]) == ("older than we keep", made.sha256, made.count)
    seals.seal()
    assert walk().report.intact
    assert journal_checks.check().findings == []
    with pytest.raises(Problem):
        archives.archive(before=timezone.now(), reason=" ")


def test_the_command_tells_where_the_rows_are() -> None:
    recorded()
    out = io.StringIO()
    call_command("archive_journal", older_than=0, reason="a test", stdout=out)
    (made,) = JournalArchive.objects.all()
    assert str(archives.folder() / made.file) in out.getvalue()
    with pytest.raises(CommandError, match="reason"):
        call_command("archive_journal", older_than=0, reason="")
    call_command("verify_journal", file=archives.folder() / made.file, stdout=out)
    call_command("verify_journal", stdout=out)
    assert "Intact." in out.getvalue()
    (archives.folder() / made.file).unlink()
    call_command("verify_journal", stdout=out)
    assert f"The archive {made.file} is not in {archives.folder()}: it was not checked." in out.getvalue()


def test_the_words_of_archived_rows_are_not_found_any_more() -> None:
    if connection.vendor == "postgresql":
        pytest.skip("its index is no table of its own")
    made, _ = archived()
    with connection.cursor() as cursor:
        found = "SELECT count(*) FROM journal_words WHERE journal_words MATCH 'because' AND rowid BETWEEN %s AND %s"
        cursor.execute(found, [made.first_id, made.last_id])
        assert cursor.fetchone() == (0,)


def test_what_a_crash_has_left_is_deleted_by_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(5)

    def crash(reason: str) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(journal_guard, "maintenance", crash)
        with pytest.raises(KeyboardInterrupt):
            archives.archive(before=timezone.now(), reason="a test")
    made = JournalArchive.objects.get()
    assert JournalEntry.objects.filter(pk__lte=made.last_id).count() == made.count
    assert walk().report.intact
    assert archives.archive(before=made.made_at, reason="again") is None
    assert not JournalEntry.objects.filter(pk__lte=made.last_id).exists()
    assert walk().report.intact


def test_what_is_not_intact_is_not_archived() -> None:
    rows = recorded()
    attack(f"UPDATE accounts_journalentry SET reason = 'x' WHERE id = {rows[0]}")
    with pytest.raises(Problem, match=f"Row {rows[0]} was altered"):
        archives.archive(before=timezone.now(), reason="a test")
    assert JournalEntry.objects.filter(pk__in=rows).count() == len(rows)
    assert list(archives.folder().glob("*")) == []


def test_nobody_else_can_pretend_that_rows_were_archived() -> None:
    made, _ = archived()
    last = newest()
    columns = "first_seal, last_seal, first_id, last_id, count, file, sha256, made_at, signature"
    attack(
        f"DELETE FROM accounts_journalentry WHERE id BETWEEN {last.first_id} AND {last.last_id}",
        f"INSERT INTO accounts_journalarchive ({columns}) SELECT {last.number}, {last.number}, {last.first_id},"
        f" {last.last_id}, {last.count}, file, sha256, made_at, signature FROM accounts_journalarchive",
    )
    words = [one.words for one in walk().report.findings]
    assert words == [f"Row {one} is missing." for one in range(last.first_id, last.last_id + 1)]
    (finding,) = archives.check_files().findings
    assert (finding.kind, finding.seal) == ("archive_altered", last.number)
    assert made.last_seal < last.number


def test_an_archive_that_was_altered_is_named() -> None:
    made, path = archived()
    text = gzip.decompress(path.read_bytes()).replace(b"because", b"despite", 1)
    path.write_bytes(gzip.compress(text))
    (finding,) = archives.check_files().findings
    assert (finding.seal, str(path) in finding.words) == (made.first_seal, True)
    altered = verify.verify(path, seals.trusted()).report.findings
    assert [one.kind for one in altered] == ["row_altered", "file_altered"]


def test_a_row_put_back_into_an_archived_range_is_found() -> None:
    made, _ = archived()
    names = ", ".join(f'"{name}"' for name in JournalEntry.SEALED[1:])
    attack(
        f"INSERT INTO accounts_journalentry (id, {names}) SELECT {made.last_id}, {names}"
        f" FROM accounts_journalentry WHERE id > {made.last_id} LIMIT 1"
    )
    assert [one.id for one in walk().report.findings] == [made.last_id]
