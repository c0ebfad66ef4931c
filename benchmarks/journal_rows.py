"""A journal of any length: the year of 200 robots and 60 people, the same every time, loaded past the triggers."""

import itertools
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management import call_command
from django.db import connection, models

from accounts import journal_guard
from accounts.models import JournalEntry, User

ROBOTS, PEOPLE = 200, 60
YEAR = timedelta(days=365)
ENDS = datetime(2026, 11, 1, tzinfo=UTC)
FAMILIES = {
    "command": "accepted acknowledged done failed refused confirmed rejected interrupted released outcome_unknown approved",
    "robot": "online offline restarted state_changed probed setup clock_set_back stale unreachable degraded",
    "stop": "requested sent confirmed not_confirmed left",
    "auth": "signed_in signed_out sign_in_failed token_issued token_revoked password_set session_ended factor_set_up",
    "access": "denied throttled too_large",
    "lease": "taken released refused broken",
    "alert": "opened acknowledged resolved silenced",
    "user": "created changed forgotten groups_changed registered",
}
VERBS = [f"{family}.{verb}" for family, verbs in FAMILIES.items() for verb in verbs.split()]
OUTCOMES = {"ok": 970, "denied": 20, "failed": 9, "unknown": 1}
REASONS = ["", "", "", "shorter rail", "pallet stands in the way", "battery low", "maintenance window", "test drive"]
RARE = ["leakage", "bearing", "smoke", "collision", "firmware", "intruder"]
FIELDS = JournalEntry._meta.concrete_fields
COLUMNS = ", ".join(str(field.column) for field in FIELDS)
BLOCK = 250_000  # rows are made one by one up to here, and then repeated with other ids, times and numbers
REPEAT = """INSERT INTO accounts_journalentry ({columns}) SELECT id + %(more)s, {at}, late, actor_id, person_id, origin_id,
    CASE request_id WHEN '' THEN '' ELSE substr(request_id, 1, 28) || %(name)s END, verb, target, robot, outcome, reason,
    {data} FROM accounts_journalentry WHERE id <= %(block)s AND id + %(more)s <= %(count)s ORDER BY id"""
DIALECT = {
    "postgresql": {
        "at": "at + %(seconds)s * interval '1 second'",
        "data": """replace(data::text, '"command": ', '"command": ' || %(copy)s::text)::jsonb""",
    },
    "sqlite": {  # the time as Django writes it
        "at": "replace(strftime('%%Y-%%m-%%d %%H:%%M:%%f', at, %(seconds)s || ' seconds') || '000', '.000000', '')",
        "data": """replace(data, '"command": ', '"command": ' || %(copy)s)""",
    },
}
Row = tuple[Any, ...]


def rows(count: int, step: timedelta) -> Iterator[Row]:
    """Values in the order of FIELDS, ids from 1. Many come in bursts of one robot with one request id."""
    draw = random.Random(5)
    weights = [1 / (rank + 1) for rank in range(len(VERBS))]
    at = ENDS - YEAR
    number = 0
    while number < count:
        burst = min(draw.choice((1, 1, 2, 3, 3, 4, 6, 60)), count - number)
        robot = f"oht-{int(ROBOTS * draw.random() ** 2) + 1:03d}"
        actor = None if draw.random() < 0.5 else int(PEOPLE * draw.random() ** 2) + 1
        request = "" if actor is None else f"{draw.getrandbits(128):032x}"
        at += step * burst * 0.5
        for verb in draw.choices(VERBS, weights, k=burst):
            number += 1
            at += step * 0.5 * draw.random()
            chance = draw.random()
            late = chance < 0.0002
            (outcome,) = draw.choices(list(OUTCOMES), list(OUTCOMES.values()))
            reason = draw.choice(RARE) if chance > 0.99997 else draw.choice(REASONS)
            data = {"command": number // 4, "code": verb.partition(".")[2], "params": {"target_mm": int(chance * 9000)}}
            about = 1 + number % PEOPLE if verb.startswith("user.") else None
            happened = at - timedelta(minutes=20) if late else at
            text = json.dumps(data)
            yield (
                *(number, happened, late, actor, about, 1, request),
                *(verb, "move" if "command" in verb else "", robot, outcome, reason, text),
            )


def build(count: int) -> None:
    """Fill the database of the settings, unless it holds such a journal already."""
    call_command("migrate", verbosity=0)
    last = JournalEntry.objects.order_by("-pk").first()
    if last is not None and count <= last.pk < count + 1_000:  # each run adds the row of its auditor
        return
    assert last is None or last.pk < 100, f"the database holds another journal, of {last.pk:,} rows"
    User.objects.bulk_create(User(username=f"person-{number:02d}", password="!") for number in range(1, PEOPLE + 1))
    with connection.schema_editor() as editor:
        for index in JournalEntry._meta.indexes:
            editor.remove_index(JournalEntry, index)
        _without_guard()
    JournalEntry.objects.all().delete()  # the migrations' own
    block, step = min(count, BLOCK), YEAR / count
    (_copy if connection.vendor == "postgresql" else _insert)(block, step)
    _repeat(block, count, step)
    with connection.schema_editor() as editor:
        if connection.vendor == "postgresql":
            editor.execute("SET LOCAL maintenance_work_mem = '512MB'")
        for index in JournalEntry._meta.indexes:
            editor.add_index(JournalEntry, index)
        with connection.cursor() as cursor:
            journal_guard.install(cursor, connection.vendor)
    if connection.vendor == "postgresql":  # what autovacuum does; SQLite has nobody who does it
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE accounts_journalentry")


def _without_guard() -> None:
    names = [f"{table}_no_{kind}" for table in journal_guard.TABLES for kind in ("update", "delete")]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for name in [*names, *(f"{table}_no_truncate" for table in journal_guard.TABLES)]:
                cursor.execute(f"DROP TRIGGER {name} ON {name.rpartition('_no_')[0]}")
            cursor.execute("DROP INDEX journal_words")
        else:
            replace = [f"{table}_no_replace" for table in journal_guard.TABLES]
            for name in [*names, *replace, "journal_words_insert", "journal_words_delete"]:
                cursor.execute(f"DROP TRIGGER {name}")
            cursor.execute("DROP TABLE journal_vocabulary")
            cursor.execute("DROP TABLE journal_words")


def _copy(block: int, step: timedelta) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY accounts_journalentry ({COLUMNS}) FROM STDIN") as copy:
        for row in rows(block, step):
            copy.write_row(row)


def _insert(block: int, step: timedelta) -> None:
    marks = ", ".join("%s" for _ in FIELDS)
    at = models.DateTimeField()
    stored = ((row[0], at.get_db_prep_value(row[1], connection), *row[2:]) for row in rows(block, step))
    with connection.cursor() as cursor:
        while batch := list(itertools.islice(stored, 50_000)):
            cursor.executemany(f"INSERT INTO accounts_journalentry ({COLUMNS}) VALUES ({marks})", batch)


def _repeat(block: int, count: int, step: timedelta) -> None:
    query = REPEAT.format(columns=COLUMNS, **DIALECT[connection.vendor])
    with connection.cursor() as cursor:
        for copy, more in enumerate(range(block, count, block), 1):
            seconds = (step * more).total_seconds()
            about: dict[str, Any] = {
                "more": more,
                "seconds": seconds,
                "copy": copy,
                "name": f"{copy:04x}",
                "block": block,
                "count": count,
            }
            cursor.execute(query, about)
        if connection.vendor == "postgresql":
            cursor.execute("SELECT setval(pg_get_serial_sequence('accounts_journalentry', 'id'), %s)", [count])
