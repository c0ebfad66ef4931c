"""Somebody who holds the database itself, and covers their traces: the triggers are back when they have gone."""

import io
import sqlite3
from typing import Any

from django.core.management import call_command
from django.db import connection

from accounts import seals
from accounts.journal import record
from accounts.journal_models import JournalEntry, Seal


def recorded(count: int = 4) -> list[int]:
    """The ids of so many new rows, sealed."""
    made = [record("test.done", f"thing {number}", reason="because", data={"n": number}).pk for number in range(count)]
    assert seals.seal() >= 1
    return made


def attack(*statements: str) -> None:
    """Past Django, past the triggers."""
    if connection.vendor == "postgresql":
        _postgresql(statements)
    else:
        _sqlite(statements)


def _sqlite(statements: tuple[str, ...]) -> None:
    raw = sqlite3.connect(str(connection.settings_dict["NAME"]), timeout=20, isolation_level=None)
    raw.execute("PRAGMA ignore_check_constraints = ON")
    raw.execute("BEGIN IMMEDIATE")
    triggers = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'accounts_%'"
    guards = raw.execute(triggers).fetchall()  # those of the index of words stay: it counts its rows
    for name, _ in guards:
        raw.execute(f"DROP TRIGGER {name}")
    for statement in (*statements, *(sql for _, sql in guards)):
        raw.execute(statement)
    raw.execute("COMMIT")
    raw.close()


def _postgresql(statements: tuple[str, ...]) -> None:
    import psycopg

    given = connection.get_connection_params()
    known: dict[str, Any] = {
        name: given[name] for name in ("host", "port", "user", "password", "dbname") if name in given
    }
    with psycopg.connect(**known) as raw:
        raw.execute("SET session_replication_role = replica")
        for statement in statements:
            raw.execute(statement.encode())


def copy_of(row: int, to: int) -> str:
    """The statement that writes what one row says into another number."""
    names = ", ".join(f'"{name}"' for name in JournalEntry.SEALED[1:])
    return f"INSERT INTO accounts_journalentry (id, {names}) SELECT {to}, {names} FROM accounts_journalentry WHERE id = {row}"


def newest() -> Seal:
    found = Seal.objects.first()
    assert found is not None
    return found


def verified() -> tuple[int, str]:
    """`manage.py verify_journal`: exit code and what it prints."""
    out = io.StringIO()
    try:
        call_command("verify_journal", stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()
