"""The database's own guard of the journal: triggers that refuse to change or delete a row or a seal, whoever asks.

They let through what happens inside `maintenance()`: its transaction holds a row in a table that they look at, which no other
transaction sees. The same triggers keep the index of words up to date.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from accounts import journal, journal_words
from accounts.journal_models import JournalMaintenance
from robotctl.problems import Problem

TABLES = ("accounts_journalentry", "accounts_seal")
ORIGINS = "accounts_journalorigin"  # its rows are erased with their person, and never changed
POSTGRESQL_KINDS = ("update", "delete", "truncate")
DEFINED = {
    "postgresql": """SELECT tgname, pg_get_triggerdef(made.oid, true) || prosrc FROM pg_trigger made
        JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')""",
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'",
}
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
    """The triggers that should be there and are not, or that do something else."""
    found = _found(on)
    return sorted(name for name, made in _expected(on.vendor).items() if found.get(name) != made)


def weaknesses(on: Any = connection) -> list[str]:
    """Why the journal is not guarded, in sentences; none when it is."""
    found = _found(on)
    words = [
        f"The trigger {name} is {'not what was installed' if name in found else 'missing'}: the database does not guard the journal."
        for name in missing(on)
    ]
    # Only a row that was committed is seen here: whoever put it there is past the triggers.
    for left in JournalMaintenance.objects.using(on.alias).order_by("at")[:1]:
        words.append(f"The journal's maintenance is open since {journal.iso(left.at)}: anybody may delete.")
    return words


def _found(on: Any) -> dict[str, str]:
    """The triggers that fire, and what they do."""
    with on.cursor() as cursor:
        cursor.execute(DEFINED[on.vendor])
        return dict(cursor.fetchall())


def _expected(vendor: str) -> dict[str, str]:
    """As `_found`, of a database that is guarded."""
    if vendor == "postgresql":
        kinds = [(table, kind) for table in TABLES for kind in POSTGRESQL_KINDS] + [(ORIGINS, "update")]
        return {f"{table}_no_{kind}": _defined(table, kind) for table, kind in kinds}
    return {made.split()[2]: made for made in [*SQLITE, *SQLITE_ORIGINS] if made.startswith("CREATE TRIGGER ")}


def install(cursor: Any, vendor: str) -> None:
    """Called by a migration."""
    for statement in POSTGRESQL if vendor == "postgresql" else SQLITE:
        cursor.execute(statement)


def install_for_origins(cursor: Any, vendor: str) -> None:
    """Called by a later migration."""
    for statement in POSTGRESQL_ORIGINS if vendor == "postgresql" else SQLITE_ORIGINS:
        cursor.execute(statement)


def _sqlite(table: str) -> list[str]:
    refuse = f"BEGIN SELECT RAISE(ABORT, 'the journal is append-only: {table}'); END"
    key = "number" if table == "accounts_seal" else "id"
    # A number that SQLite has yet to give is -1 here.
    same = f"NEW.{key} <> -1 AND EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})"  # noqa: S608 - our own names
    return [
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} WHEN NOT {OPEN} {refuse}",
        # INSERT OR REPLACE deletes without firing the trigger above.
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {same} {refuse}",
    ]


def _postgresql(table: str, kinds: Iterable[str] = POSTGRESQL_KINDS) -> list[str]:
    return [
        f"CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $${_body(table)}$$",
        *(_trigger(table, kind) for kind in kinds),
    ]


def _body(table: str) -> str:
    return (
        f" BEGIN IF TG_OP <> 'UPDATE' AND {OPEN} THEN RETURN OLD; END IF;"
        f" RAISE EXCEPTION 'the journal is append-only: {table}'; END "
    )


def _trigger(table: str, kind: str) -> str:
    """In PostgreSQL's own words."""
    each = f"FOR EACH {'STATEMENT' if kind == 'truncate' else 'ROW'} EXECUTE FUNCTION {table}_refuse()"
    return f"CREATE TRIGGER {table}_no_{kind} BEFORE {kind.upper()} ON {table} {each}"


def _defined(table: str, kind: str) -> str:
    return _trigger(table, kind) + _body(table)


SQLITE = [statement for table in TABLES for statement in _sqlite(table)] + journal_words.SQLITE
POSTGRESQL = [statement for table in TABLES for statement in _postgresql(table)] + journal_words.POSTGRESQL
SQLITE_ORIGINS = [made for made in _sqlite(ORIGINS) if "_no_delete" not in made]
POSTGRESQL_ORIGINS = _postgresql(ORIGINS, ["update"])
