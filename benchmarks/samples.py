"""Recording samples, reading charts, and looking at the host, on SQLite and PostgreSQL: each against the driver, or psutil, itself.

`ROBOTCTL_BENCH_POSTGRES_SERVER`: a server on which a database of the benchmark's own is made and dropped.
"""

import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Figure, alternate, cpu_us, in_process, percentile, spread, wall_ms

if TYPE_CHECKING:
    from monitoring import recording

SERVER = os.environ.get("ROBOTCTL_BENCH_POSTGRES_SERVER", "postgres://postgres@127.0.0.1:5432")
NAMES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}
BATCH, SERIES, POINTS = 10_000, 1_000, 1_000
SPANS = {"1 h": 1, "24 h": 24, "7 d": 168, "30 d": 720}
BARE = """CREATE TABLE bench_bare (series_id bigint NOT NULL, at_ms bigint NOT NULL, value double precision NOT NULL,
    UNIQUE (series_id, at_ms))"""


def run() -> list[Figure]:
    """SQLite in a temporary folder, then PostgreSQL if it answers."""
    import psycopg

    with tempfile.TemporaryDirectory(prefix="robotctl-bench-samples-") as folder:
        figures = in_process(__name__, f"sqlite:///{Path(folder) / 'samples.sqlite3'}")
    try:
        server = psycopg.connect(f"{SERVER}/postgres", autocommit=True)
    except psycopg.OperationalError:
        print("  PostgreSQL does not answer; it is left out.")
        return figures
    with server:
        server.execute("DROP DATABASE IF EXISTS robotctl_bench_samples")
        server.execute("CREATE DATABASE robotctl_bench_samples")
        figures += in_process(__name__, f"{SERVER}/robotctl_bench_samples")
        server.execute("DROP DATABASE robotctl_bench_samples WITH (FORCE)")
    return figures


def measure() -> Iterator[Figure]:
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(BARE)
    yield _recording(NAMES[connection.vendor])
    yield from _charts(NAMES[connection.vendor])
    if connection.vendor == "sqlite":
        yield _host()


def _recording(database: str) -> Figure:
    """A batch of 10,000 samples of 1,000 series, against what the driver takes for the same rows with the same index."""
    from django.utils import timezone

    from monitoring import recording
    from monitoring.models import in_ms

    began, rounds = timezone.now() - timedelta(hours=2), iter(range(1_000_000))

    def batch() -> list[recording.Measured]:
        first = began + timedelta(seconds=10 * next(rounds))
        return [_sample(number, first + timedelta(milliseconds=number // SERIES)) for number in range(BATCH)]

    def ours() -> float:
        some = batch()
        return wall_ms(lambda: recording.record(some))

    def bare() -> float:
        rows = [
            (hash((one.source, one.metric)) % SERIES, in_ms(one.at) * 1_000 + number, one.value)
            for number, one in enumerate(batch())
        ]
        return wall_ms(lambda: _write(rows))

    took, floor = alternate(ours, bare, 7)
    subject, least = percentile(took, 50), percentile(floor, 50)
    name = f"recording {BATCH:,} samples on {database}"
    return Figure(name, subject, least, subject / least, "≤ 2.5×", subject <= 2.5 * least, "ms", spread(took))


def _sample(number: int, at: datetime) -> "recording.Measured":
    from monitoring.recording import Measured

    series = number % SERIES
    return Measured(f"robot:r{series // 10}", f"m{series % 10}", "m", at, 1.5)


def _write(rows: list[tuple[int, int, float]]) -> None:
    from django.db import connection as database
    from django.db import transaction

    with transaction.atomic(), database.cursor() as cursor:
        if database.vendor == "postgresql":
            with cursor.copy("COPY bench_bare FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            cursor.executemany("INSERT INTO bench_bare VALUES (%s, %s, %s)", rows)


def _charts(database: str) -> Iterator[Figure]:
    """Charts of a series of 30 days at 1 Hz among others, against one read of a month's quarters of an hour by the driver."""
    from django.utils import timezone

    from monitoring import history
    from monitoring.models import Series

    now = timezone.now()
    series = Series.objects.create(source="robot:oht-01", metric="position_m", unit="m")
    _fill(series.pk, now)
    for name, hours in SPANS.items():
        span = history.Span(now - timedelta(hours=hours), now, POINTS)
        found = history.of(series.source, series.metric, span, now)
        assert POINTS / 3 < len(found["points"]) <= POINTS, (name, len(found["points"]))

        def chart(span: history.Span = span) -> float:
            return wall_ms(lambda: history.of("robot:oht-01", "position_m", span, now))

        took, floor = alternate(chart, lambda: wall_ms(lambda: _one_read(series.pk)), 40)
        subject, least = percentile(took, 95), percentile(floor, 95)
        title = f"chart of {name} at 1 Hz, {len(found['points'])} points, on {database}, p95"
        yield Figure(title, subject, least, subject / least, "≤ 100 ms", subject <= 100, "ms", spread(took))


def _fill(series: int, now: datetime) -> None:
    """What 30 days at 1 Hz leave: a day of samples, and their rollups."""
    from monitoring.models import Rollup, Sample, in_ms
    from monitoring.rollups import HOUR_S, MINUTE_S, QUARTER_S

    draw, ends_ms = random.Random(5), in_ms(now)
    seconds = range(ends_ms - 24 * 3_600_000, ends_ms, 1_000)
    Sample.objects.bulk_create(
        (Sample(series_id=series, at_ms=at, value=draw.random()) for at in seconds), batch_size=5_000
    )
    for resolution_s, days in ((MINUTE_S, 14), (QUARTER_S, 30), (HOUR_S, 30)):
        step = resolution_s * 1_000
        first = (ends_ms - days * 86_400_000) // step * step
        about = {
            "minimum": 0.0,
            "maximum": 1.0,
            "total": resolution_s / 2,
            "count": resolution_s,
            "last": 0.5,
            "last_ms": 0,
        }
        rows = (
            Rollup(series_id=series, resolution_s=resolution_s, at_ms=at, **about) for at in range(first, ends_ms, step)
        )
        Rollup.objects.bulk_create(rows, batch_size=5_000)


def _one_read(series: int) -> None:
    from django.db import connection

    query = "SELECT at_ms, minimum, maximum, total, count FROM monitoring_rollup WHERE series_id = %s AND resolution_s = 900 ORDER BY at_ms"
    with connection.cursor() as cursor:
        cursor.execute(query, [series])
        cursor.fetchall()


def _host() -> Figure:
    """One look at the host, against the calls of psutil that it rests on."""
    import psutil
    from django.conf import settings

    from monitoring import sampling

    host = sampling.Host()

    def bare() -> None:
        psutil.cpu_times(), psutil.cpu_times(percpu=True), psutil.virtual_memory(), psutil.swap_memory()
        psutil.disk_usage(str(settings.ENV.var)), psutil.net_io_counters(), psutil.disk_io_counters(), os.getloadavg()
        psutil.sensors_temperatures()

    took, floor = alternate(lambda: cpu_us(host.measured, 50), lambda: cpu_us(bare, 50), 15)
    subject, least = percentile(took, 50), percentile(floor, 50)
    core = subject / 1e6 / sampling.EVERY_S
    goal = f"≤ 1.5×, ≤ 0.5 % of a core every {sampling.EVERY_S:.0f} s (it is {core:.3%})"
    return Figure(
        "host sampling",
        subject,
        least,
        subject / least,
        goal,
        subject <= 1.5 * least and core <= 0.005,
        "µs CPU",
        spread(took),
    )


def main() -> int:
    print(json.dumps([figure.as_dict() for figure in measure()]))
    return 0


if __name__ == "__main__":
    from benchmarks import running  # noqa: F401 - settings, and Django set up

    sys.exit(main())
