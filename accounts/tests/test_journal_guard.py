"""The database itself refuses to change what is in the journal, and it is told when it does not."""

from typing import Any

import pytest
from django.db import DatabaseError, connection

from accounts import journal, journal_guard, journal_health
from accounts.journal_models import JournalMaintenance, JournalOrigin
from accounts.people import forget
from accounts.tests.attacks import recorded, verified

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("begun")]
TABLE, ORIGINS = "accounts_journalentry", journal_guard.ORIGINS


def refuses(statements: list[str]) -> None:
    for statement in statements:
        with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
            cursor.execute(statement)


def test_where_somebody_acted_from_is_erased_and_never_changed(api: Any, people: Any) -> None:
    api("alice").get("/api/v1/journal/")
    (origin,) = JournalOrigin.objects.filter(person_id=people["alice"].pk)
    replace = [] if connection.vendor == "postgresql" else [f"REPLACE INTO {ORIGINS} SELECT * FROM {ORIGINS}"]
    refuses([f"UPDATE {ORIGINS} SET address = '10.9.9.9'", *replace])
    forget(people["alice"], people["ada"], reason="asked for it")
    assert not JournalOrigin.objects.filter(pk=origin.pk).exists()


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
    refuses(statements)
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
