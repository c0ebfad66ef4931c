"""Emptying the database between tests, a thousand times in a run: only the tables that hold something, and no more than is made anew.

Django would truncate all of them and make every permission and content type again; here those stay, which no test changes.
"""

from collections.abc import Iterator
from functools import cache

import pytest

MAINTENANCE = "accounts_journalmaintenance"  # while it has a row, the journal lets rows go
KEPT = ("auth_permission", "django_content_type", MAINTENANCE)


@pytest.fixture(scope="session", autouse=True)
def emptied(django_db_setup: None) -> Iterator[None]:
    """Replaces both halves of `flush`, which TransactionTestCase calls: emptying, and making what every database has."""
    from django.core.management.commands import flush
    from django.db import connection

    from accounts.apps import make_default_roles

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection.ops, "execute_sql_flush", lambda _: empty())
        patch.setattr(flush, "emit_post_migrate_signal", lambda *_, **__: make_default_roles())
        yield


def empty() -> None:
    """Delete every row of every table that has any. Keys refer to one another until the end of the transaction."""
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_which_hold_something())
        held = [name for (name,) in cursor.fetchall()]
        cursor.execute(f"INSERT INTO {MAINTENANCE} (reason, at) VALUES ('between tests', '2026-01-01')")
        for name in [*held, MAINTENANCE]:
            cursor.execute(f'DELETE FROM "{name}"')


@cache
def _which_hold_something() -> str:
    from django.db import connection

    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    wanted = sorted(set(tables) - set(KEPT))
    return " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM \"{name}\")" for name in wanted)
