"""A chart shows what was measured, as many points as were asked for at most, and a gap where nothing was."""

import random
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitoring import history, recording, rollups, tasks
from monitoring.models import Rollup, Series, in_ms
from monitoring.recording import Measured
from robotctl.tests.system import register

pytestmark = pytest.mark.django_db(transaction=True)
NOON = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
API = "/api/v1"


@pytest.fixture(autouse=True)
def begun(transactional_db: None) -> None:
    recording.known.forget()


def fill(values: Mapping[int, float], source: str = "host:here", metric: str = "cpu_percent") -> None:
    recording.record(
        [Measured(source, metric, "%", NOON + timedelta(seconds=second), value) for second, value in values.items()]
    )
    rollups.roll_up()


def asked(hours: float, points: int, begins: datetime = NOON) -> dict[str, Any]:
    span = history.Span(begins, begins + timedelta(hours=hours), points)
    return history.of("host:here", "cpu_percent", span, timezone.now())


@pytest.mark.parametrize("points", [2, 10, 61, 300, 3_000])
@pytest.mark.parametrize("hours", [0.1, 1, 4])
def test_every_point_is_what_the_samples_in_it_were(hours: float, points: int) -> None:
    draw = random.Random(3)
    values = {second: draw.uniform(0, 100) for second in range(0, 4 * 3_600, 20)}
    fill(values)
    found = asked(hours, points)
    assert 0 < len(found["points"]) <= points and found["unit"] == "%"
    ends_ms = in_ms(NOON + timedelta(hours=hours))
    for at, low, mean, high in found["points"]:
        begins_ms = in_ms(datetime.fromisoformat(at))
        until_ms = min(begins_ms + round(found["resolution_s"] * 1_000), -(-ends_ms // 60_000) * 60_000)
        inside = [value for second, value in values.items() if begins_ms <= in_ms(NOON) + second * 1_000 < until_ms]
        assert inside and (low, high) == (min(inside), max(inside)), at
        assert mean == pytest.approx(sum(inside) / len(inside))


def test_a_gap_stays_a_gap() -> None:
    fill(dict.fromkeys([*range(0, 600, 5), *range(1800, 2400, 5)], 5.0))
    found = asked(1, 61)
    times = [datetime.fromisoformat(at) for at, *_ in found["points"]]
    steps = {(after - before).total_seconds() for before, after in pairwise(times)}
    assert found["resolution_s"] == 60 and steps == {60.0, 1_260.0}


@pytest.mark.parametrize(
    ("days_ago", "span_days", "resolution_s"),
    [
        (0.9, 0.01, 0),
        (0.9, 0.8, 60),
        (10, 1, 60),
        (13, 12, 900),
        (60, 30, 900),
        (60, 45, 3_600),
        (60, 1, 900),
        (400, 2, 3_600),
    ],
)
def test_the_resolution_fits_the_span_and_what_is_still_kept(
    days_ago: float, span_days: float, resolution_s: int
) -> None:
    begins = timezone.now() - timedelta(days=days_ago)
    _, made_of = history._stretch(history.Span(begins, begins + timedelta(days=span_days), 1_000), timezone.now())
    assert made_of == resolution_s


def test_a_chart_of_a_month_reads_few_rows() -> None:
    series = Series.objects.create(source="host:here", metric="cpu_percent", unit="%")
    begins = timezone.now() - timedelta(days=30)
    first_ms = in_ms(begins) // 900_000 * 900_000
    about = {"minimum": 1.0, "maximum": 3.0, "total": 1_800.0, "count": 900, "last": 2.0, "last_ms": 0}
    quarters = (first_ms + number * 900_000 for number in range(30 * 96))
    Rollup.objects.bulk_create([Rollup(series=series, resolution_s=900, at_ms=at_ms, **about) for at_ms in quarters])
    with CaptureQueriesContext(connection) as queries:
        found = asked(30 * 24, 1_000, begins)
    assert len(queries.captured_queries) == 2 and 960 <= len(found["points"]) <= 961
    assert found["points"][5][1:] == [1.0, 2.0, 3.0]


def test_the_host_is_measured_and_shown_with_its_age(api: Any) -> None:
    assert api("bob").get(f"{API}/monitoring/metrics/").json()["quality"] == "never"
    tasks.sample_host()
    time.sleep(0.6)
    tasks.sample_host()
    shown = api("bob").get(f"{API}/monitoring/metrics/").json()
    assert shown["quality"] == "live" and shown["age_s"] < 5
    assert (
        0 <= shown["cpu_percent"] <= 100 and 0 < shown["memory_percent"] < 100 and shown["network_rx_bytes_per_s"] >= 0
    )
    assert [one["host"] for one in shown["hosts"]] == [shown["host"]]
    rollups.roll_up()
    past = api("bob").get(f"{API}/monitoring/metrics/history/?metric=memory_percent&points=50").json()
    assert past["unit"] == "%" and past["points"][-1][1] <= past["points"][-1][3]


@pytest.mark.parametrize(("ago_s", "quality", "shown"), [(60, "stale", True), (400, "stale", False)])
def test_what_is_old_is_said_to_be_and_after_minutes_shows_no_number(
    ago_s: float, quality: str, shown: bool, api: Any
) -> None:
    at = timezone.now() - timedelta(seconds=ago_s)
    recording.record([Measured("host:other", "cpu_percent", "%", at, 17.0)])
    (host,) = api("bob").get(f"{API}/monitoring/metrics/").json()["hosts"]
    assert (host["host"], host["quality"], host["cpu_percent"]) == ("other", quality, 17.0 if shown else None)
    assert host["age_s"] >= ago_s and host["memory_percent"] is None


def test_a_robots_history_is_for_whoever_sees_it(api: Any) -> None:
    register("oht-01", "http://127.0.0.1:9")
    fill({second: second / 10 for second in range(0, 600, 5)}, "robot:oht-01", "battery_percent")
    query = f"metric=battery_percent&from={NOON:%Y-%m-%dT%H:%M:%SZ}&to={NOON + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    found = api("bob").get(f"{API}/robots/oht-01/history/?{query}&points=61").json()
    assert (found["metric"], found["unit"], found["resolution_s"], len(found["points"])) == (
        "battery_percent",
        "%",
        60,
        10,
    )
    assert api("charlie").get(f"{API}/robots/oht-01/history/?{query}").status_code == 404
    assert api("charlie").get(f"{API}/monitoring/metrics/").status_code == 403


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "metric"),
        ("metric=nothing", "metric"),
        ("metric=cpu_percent&points=1", "points"),
        ("metric=cpu_percent&metric=load_1m", "metric"),
        ("metric=cpu_percent&points=x", "points"),
        ("metric=cpu_percent&from=0001-01-01T00:00:00Z", "from"),
        ("metric=cpu_percent&from=2026-02-02T00:00:00Z&to=2026-02-01T00:00:00Z", "from"),
        ("metric=cpu_percent&form=2026-02-02T00:00:00Z", "form"),
        ("metric=cpu_percent&from=2010-01-01T00:00:00Z&to=2020-01-01T00:00:00Z", "from"),
    ],
)
def test_what_cannot_be_asked_is_refused_at_the_field(query: str, field: str, api: Any) -> None:
    fill({0: 5.0})
    answer = api("bob").get(f"{API}/monitoring/metrics/history/?host=here&{query}")
    assert answer.status_code == 400 and field in answer.json()["errors"], answer.json()
