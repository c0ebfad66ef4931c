"""The search of the journal, every filter of it, on SQLite and PostgreSQL, against one page read by the driver along an index.

`ROBOTCTL_BENCH_ROWS` (200,000; the promise is about 5,000,000), `ROBOTCTL_BENCH_POSTGRES` (a database that may be filled; it is
left as it is when it is full already). Each database has a process of its own, since Django knows one.
"""

import json
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.measure import Figure, alternate, in_process, percentile, spread, wall_ms

ROWS = int(os.environ.get("ROBOTCTL_BENCH_ROWS", "200000"))
POSTGRES = os.environ.get("ROBOTCTL_BENCH_POSTGRES", "postgres://postgres@127.0.0.1:5432/robotctl_bench")
GOAL_MS = {"postgresql": 50, "sqlite": 100}
NAMES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}
PAGE, RUNS = 100, 60
SORTED_AT_MOST = 100_000  # rows that PostgreSQL may expect to sort: one window of a search for words
Asked = dict[str, Any]
Statement = tuple[str, Any]


def run() -> list[Figure]:
    """SQLite in a temporary folder (or ROBOTCTL_BENCH_SQLITE), then PostgreSQL if it answers."""
    with tempfile.TemporaryDirectory(prefix="robotctl-bench-journal-") as folder:
        path = os.environ.get("ROBOTCTL_BENCH_SQLITE", str(Path(folder) / "journal.sqlite3"))
        return [*in_process(__name__, f"sqlite:///{path}"), *in_process(__name__, POSTGRES)]


def cases(draw: random.Random) -> dict[str, Callable[[], Asked]]:
    """{name: what is asked for, another value at each call}."""
    from benchmarks import journal_rows as journal

    def some_time() -> Asked:
        began = journal.ENDS - journal.YEAR * draw.random()
        return {"since": began, "until": began + timedelta(days=draw.choice((1, 7, 30)))}

    def robot() -> Asked:
        return {"robot": f"oht-{draw.randint(1, journal.ROBOTS):03d}"}

    def person() -> str:
        return f"person-{draw.randint(1, journal.PEOPLE):02d}"

    def verb() -> Asked:
        return {"verb": [draw.choice(journal.VERBS)]}

    def words(*some: str) -> Asked:
        return {"q": draw.choice(some)}

    return {
        "first page": dict,
        "time": some_time,
        "person (acted or acted upon)": lambda: {"person": person()},
        "actor": lambda: {"actor": person()},
        "actor system or robot": lambda: {"actor": draw.choice(("system", "robot"))},
        "robot": robot,
        "verb": verb,
        "family of verbs": lambda: {"verb": [f"{draw.choice(list(journal.FAMILIES))}.*"]},
        "outcome": lambda: {"outcome": [draw.choice(list(journal.OUTCOMES))]},
        "two outcomes": lambda: {"outcome": draw.sample(list(journal.OUTCOMES), 2)},
        "request id": lambda: {"request_id": _request_id(draw)},
        "late": lambda: {"late": draw.choice((True, False))},
        "words, rare": lambda: words(*journal.RARE),
        "words, common": lambda: words("command", "rail", "shorter rail", "accepted move", "true", "battery"),
        "words, in between": lambda: words("registered", "groups changed", "signed out", "silenced", "oht 007", "oht 199 stop"),
        "words, a beginning": lambda: words("com", "c", "oh", "leak", "coll", "sile", "pal", "8", "77", "regist"),
        "words, a number": lambda: words(str(draw.randint(1, ROWS // 4)), f"command {draw.randint(1, ROWS // 4)}"),
        "robot and time": lambda: robot() | some_time(),
        "verb and time": lambda: verb() | some_time(),
        "words and time": lambda: words("rail", "silenced", "leakage", "com", "battery low") | some_time(),
        "robot and verb": lambda: robot() | verb(),
    }  # fmt: skip


def _request_id(draw: random.Random) -> str:
    from accounts.models import JournalEntry

    rows = JournalEntry.objects.exclude(request_id="").filter(pk__gte=draw.randint(1, ROWS * 9 // 10)).order_by("pk")
    return str(rows.values_list("request_id", flat=True)[0])


def measure() -> Iterator[Figure]:
    """One figure for each filter, for a page in the middle, and for the whole request."""
    from django.db import connection

    from accounts.journal_filters import search
    from accounts.journal_search import Cursor, find
    from benchmarks import journal_rows
    from benchmarks.journal_requests import first_page

    draw = random.Random(11)
    somewhere: Callable[[], Any] = lambda: Cursor(journal_rows.ENDS - journal_rows.YEAR * draw.random(), 0)  # noqa: E731
    nowhere: Callable[[], Any] = lambda: None  # noqa: E731
    for _ in range(journal_rows.ROBOTS):  # the server of a running plant has its indexes in memory
        _one_page(draw)
    jobs = [(name, asked, nowhere) for name, asked in cases(draw).items()]
    jobs.append(("a page in the middle", dict, somewhere))
    for name, asked, place in jobs:
        _explain(name, lambda asked=asked, place=place: find(search(asked()), place(), PAGE))  # type: ignore[misc]

        def subject(asked: Callable[[], Asked] = asked, place: Callable[[], Any] = place) -> float:
            told, cursor = asked(), place()
            return wall_ms(lambda: find(search(told), cursor, PAGE))

        yield _figure(connection.vendor, name, subject, draw)
    request = first_page()
    yield _figure(connection.vendor, "GET journal/, all of the request", lambda: wall_ms(request), draw)


def _figure(vendor: str, name: str, subject: Callable[[], float], draw: random.Random) -> Figure:
    ours, bare = alternate(subject, lambda: _one_page(draw), RUNS)
    took, floor = percentile(ours, 95), percentile(bare, 95)
    title = f"journal of {ROWS:,} rows on {NAMES[vendor]}: {name}, p95"
    goal = GOAL_MS[vendor]
    return Figure(title, took, floor, took / floor, f"≤ {goal} ms", took <= goal, "ms", spread(ours))


def _one_page(draw: random.Random) -> float:
    """The floor: rows of one robot along the index, by the driver itself."""
    from django.db import connection

    robot = f"oht-{draw.randint(1, 200):03d}"
    query = f"SELECT * FROM accounts_journalentry WHERE robot = %s ORDER BY at DESC, id DESC LIMIT {PAGE + 1}"
    with connection.cursor() as cursor:
        return wall_ms(lambda: cursor.execute(query, [robot]).fetchall())


def _explain(name: str, work: Callable[[], object]) -> None:
    """Print how the database goes about each statement. Raises AssertionError when it reads or sorts all of the table."""
    from django.db import connection

    statements: list[Statement] = []

    def listen(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        work()
    print(f"  {name}")
    word = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    shown: set[str] = set()
    for sql, params in statements:
        with connection.cursor() as cursor:
            cursor.execute(f"{word} {sql}", params)
            plan = [str(row[-1]) for row in cursor.fetchall()]
        for line in plan:
            assert not _reads_all(line), f"{name}: {line}\n{sql}"
        key = " / ".join(line.strip() for line in plan)
        if key.partition("(cost")[0] not in shown:
            shown.add(key.partition("(cost")[0])
            print(f"    {key[:400]}")


def _reads_all(line: str) -> bool:
    if "Seq Scan on accounts_journalentry" in line or line == "SCAN accounts_journalentry":
        return True
    if "Sort  (cost" in line:
        return int(line.partition(" rows=")[2].split()[0]) > SORTED_AT_MOST
    return "TEMP B-TREE" in line


def main() -> int:
    """What a process of one database does: figures as JSON in the last line."""
    from django.db import OperationalError, connection

    from benchmarks import journal_rows

    try:
        connection.ensure_connection()
    except OperationalError:
        print(f"  {NAMES[connection.vendor]} does not answer at {POSTGRES}; it is left out.")
        print("[]")
        return 0
    journal_rows.build(ROWS)
    print(json.dumps([figure.as_dict() for figure in measure()]))
    return 0


if __name__ == "__main__":
    from benchmarks import running  # noqa: F401 - settings, and Django set up

    sys.exit(main())
