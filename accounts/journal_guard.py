"""The database's own guard of the journal: triggers that refuse to change or delete a row or a seal, whoever asks.

They let through what happens inside `maintenance()`: its transaction holds a row in a table that they look at, which no other
transaction sees. The same triggers keep the index of words up to date.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from accounts import journal, journal_words
from accounts.journal_models import JournalMaintenance
from robotctl.problems import Problem

TABLES = ("accounts_journalentry", "accounts_seal")
OPEN = "EXISTS (SELECT 1 FROM accounts_journalmaintenance)"


@contextmanager
def maintenance(reason: str) -> Iterator[None]:
    """One transaction in which rows may leave the journal. It tells of itself, in the journal, in the same transaction."""
    if not reason.strip():
        raise Problem(400, "invalid", "Maintenance of the journal needs a reason.")
    with transaction.atomic():
        held = JournalMaintenance.objects.create(reason=reason[:500])
        yield
        held.delete()
        journal.record("journal.maintenance", reason=reason)


def missing(on: Any = connection) -> list[str]:
    """The triggers that should be there and are not."""
    query = (
        "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
        if on.vendor == "postgresql"
        else "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    )
    with on.cursor() as cursor:
        cursor.execute(query)
        found = {name for (name,) in cursor.fetchall()}
    return sorted(set(_names(on.vendor)) - found)


def install(cursor: Any, vendor: str) -> None:
    """Called by a migration."""
    for statement in POSTGRESQL if vendor == "postgresql" else SQLITE:
        cursor.execute(statement)


def _names(vendor: str) -> list[str]:
    kinds = ("update", "delete", "truncate") if vendor == "postgresql" else ("update", "delete", "replace")
    names = [f"{table}_no_{kind}" for table in TABLES for kind in kinds]
    return names if vendor == "postgresql" else [*names, "journal_words_insert", "journal_words_delete"]


def _sqlite(table: str) -> list[str]:
    refuse = f"BEGIN SELECT RAISE(ABORT, 'the journal is append-only: {table}'); END"
    key = "number" if table == "accounts_seal" else "id"
    same = f"EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})"  # noqa: S608 - our own names
    return [
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} WHEN NOT {OPEN} {refuse}",
        # INSERT OR REPLACE deletes without firing the trigger above.
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {same} {refuse}",
    ]


def _postgresql(table: str) -> list[str]:
    each = f"FOR EACH ROW EXECUTE FUNCTION {table}_refuse()"
    return [
        f"CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF TG_OP <> 'UPDATE' AND {OPEN} THEN RETURN OLD; END IF;"
        f" RAISE EXCEPTION 'the journal is append-only: {table}'; END $$",
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {each}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {each}",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION {table}_refuse()",
    ]


SQLITE = [statement for table in TABLES for statement in _sqlite(table)] + journal_words.SQLITE
POSTGRESQL = [statement for table in TABLES for statement in _postgresql(table)] + journal_words.POSTGRESQL
