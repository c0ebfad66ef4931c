"""Rollups equal an independent count, whatever comes late, twice, or after a restart; what is old goes, and nothing that is needed."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitoring import recording, rollups
from monitoring.models import RolledUp, Rollup, Sample, Series, in_ms
from monitoring.recording import Measured

pytestmark = pytest.mark.django_db(transaction=True)
NOON = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)


@pytest.fixture(autouse=True)
def begun(transactional_db: None) -> None:
    recording.known.forget()


def measured(second: float, value: float, metric: str = "speed_mps", source: str = "robot:oht-01") -> Measured:
    return Measured(source, metric, "m/s", NOON + timedelta(seconds=second), value)


def counted(resolution_s: int) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """As a reader of all samples would count, in plain Python."""
    stretches: dict[tuple[Any, ...], list[tuple[int, float]]] = defaultdict(list)
    for series, at_ms, value in Sample.objects.values_list("series_id", "at_ms", "value"):
        stretches[series, at_ms // (resolution_s * 1_000) * resolution_s * 1_000].append((at_ms, value))
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for key, some in stretches.items():
        values = [value for _, value in some]
        newest_ms, last = max(some)
        found[key] = (min(values), max(values), pytest.approx(sum(values)), len(values), last, newest_ms)
    return found


def stored(resolution_s: int) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    rows = Rollup.objects.filter(resolution_s=resolution_s)
    figures = ("minimum", "maximum", "total", "count", "last", "last_ms")
    return {(row.series_id, row.at_ms): tuple(getattr(row, name) for name in figures) for row in rows}


def check() -> None:
    for resolution_s in (60, 900, 3_600):
        assert stored(resolution_s) == counted(resolution_s), resolution_s


def test_they_equal_what_is_counted_whatever_comes_late_or_twice() -> None:
    draw = random.Random(7)
    pairs = [(f"robot:oht-0{robot}", metric) for robot in (1, 2, 3) for metric in ("speed_mps", "battery_percent")]
    for batch in range(12):
        some = [
            measured(draw.uniform(0, 7_000), draw.gauss(50, 20), metric, source)
            for source, metric in pairs
            for _ in range(40)
        ]
        recording.record(some)
        recording.record(some[::3])  # the same again
        assert rollups.roll_up(at_once=draw.choice((7, 100, 20_000))) >= (batch == 0)
        check()
    assert rollups.roll_up() == 0, "nothing is new"
    recording.record([measured(30, 1_000.0)])
    rollups.roll_up()
    check()
    assert RolledUp.objects.count() == 1


def test_the_work_is_that_of_what_is_new() -> None:
    recording.record([measured(second, second) for second in range(600)])
    rollups.roll_up()
    recording.record([measured(601, 1.0)])
    with CaptureQueriesContext(
        connection,
    ) as asked:
        rollups.roll_up()
    assert len([one for one in asked.captured_queries if "INSERT INTO monitoring_rollup" in one["sql"]]) == 3
    check()


def test_what_is_old_goes_by_whole_hours_and_what_is_not_rolled_up_stays() -> None:
    now = NOON + timedelta(minutes=30)
    series = Series.objects.create(source="robot:oht-01", metric="speed_mps")
    hours = [now - timedelta(hours=hour) for hour in (1, 23, 24.2, 25.2, 30)]
    Sample.objects.bulk_create([Sample(series=series, at_ms=in_ms(at), value=1.0) for at in sorted(hours)])
    assert rollups.prune(now) == 0, "none of them is rolled up"
    rollups.roll_up()
    assert rollups.prune(now, at_once=1) == 2
    kept = [datetime.fromtimestamp(at_ms / 1_000, UTC) for at_ms in Sample.objects.values_list("at_ms", flat=True)]
    assert sorted(kept) == sorted(hours[:3]), "the hour in which the limit lies stays whole"
    assert Rollup.objects.filter(resolution_s=60).count() == 5


@pytest.mark.parametrize(("resolution_s", "days"), [(60, 14), (900, 90), (3_600, 730)])
def test_each_resolution_is_kept_as_long_as_it_says(resolution_s: int, days: int) -> None:
    series = Series.objects.create(source="robot:oht-01", metric="speed_mps")
    about = {"minimum": 1.0, "maximum": 1.0, "total": 1.0, "count": 1, "last": 1.0, "last_ms": 0}
    for age in (days - 1, days + 1, days + 2):
        at_ms = in_ms(NOON - timedelta(days=age))
        Rollup.objects.create(series=series, resolution_s=resolution_s, at_ms=at_ms, **about)
    assert rollups.prune(NOON, at_once=1) == 2
    assert Rollup.objects.get().at_ms == in_ms(NOON - timedelta(days=days - 1))
