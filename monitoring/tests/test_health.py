"""A score can be explained: 100 without what each deduction says, and none where it is not known."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import JournalEntry
from monitoring import health, recording
from monitoring.health import Deduction
from monitoring.recording import Measured

pytestmark = pytest.mark.django_db(transaction=True)
API = "/api/v1/monitoring"
LIMITS = {f"{kind}_{level}": value for kind in health.NAMES for level, value in (("warning", 80.0), ("critical", 90.0))}


@pytest.fixture(autouse=True)
def begun(transactional_db: None) -> None:
    recording.known.forget()


def live(**values: float | None) -> dict[str, Any]:
    return {"quality": "live", "age_s": 1.0, "cpu_percent": 5.0, "memory_percent": 5.0, "disk_percent": 5.0, **values}


@pytest.mark.parametrize(
    ("points", "score", "status", "kept"),
    [
        ([], 100, "healthy", []),
        ([20], 80, "healthy", [20]),
        ([21], 79, "warning", [21]),
        ([40], 60, "warning", [40]),
        ([41], 59, "critical", [41]),
        ([70, 45, 5], 0, "critical", [70, 30]),
        ([0, 3], 97, "healthy", [3]),
    ],
)
def test_the_score_is_a_hundred_without_the_points_exactly(
    points: list[int], score: int, status: str, kept: list[int]
) -> None:
    found = health.health_score(Deduction(cause=f"cause {one}", points=one) for one in points)
    assert (found["score"], found["status"]) == (score, status)
    assert [one["points"] for one in found["deductions"]] == kept and score == 100 - sum(kept)


@pytest.mark.parametrize(
    ("values", "score", "causes"),
    [
        ({}, 100, []),
        ({"cpu_percent": 79.9}, 100, []),
        ({"cpu_percent": 80.0}, 85, ["Processor 80 %, limit 80 %"]),
        ({"cpu_percent": 95.0, "disk_percent": 85.0}, 40, ["Processor 95 %, limit 90 %", "Disk 85 %, limit 80 %"]),
        ({"memory_percent": None}, 100, []),
    ],
)
def test_a_host_is_judged_by_its_thresholds(values: dict[str, float], score: int, causes: list[str]) -> None:
    found = health.of_host(live(**values), LIMITS)
    assert found["score"] == score and [one["cause"] for one in found["deductions"]] == causes


@pytest.mark.parametrize(("age_s", "words"), [(40.0, "not measured for 40 s"), (None, "never measured")])
def test_a_host_that_is_not_measured_has_no_score(age_s: float | None, words: str) -> None:
    found = health.of_host({**live(), "quality": "stale", "age_s": age_s}, LIMITS)
    assert (found["score"], found["status"]) == (None, "unknown") and words in found["deductions"][0]["cause"]


def test_robots_have_their_part_and_each_is_named() -> None:
    robots = {f"oht-0{number}": health.health_score([]) for number in range(1, 4)}
    robots["oht-04"] = health.health_score([Deduction(cause="offline", points=100)])
    found = health.of_fleet({"here": health.of_host(live(), LIMITS)}, robots)
    assert found["score"] == 85 and found["deductions"] == [{"cause": "Robot oht-04: offline", "points": 15}]


def test_of_several_hosts_one_that_is_not_measured_is_named_and_costs_points() -> None:
    gone = health.of_host({**live(), "quality": "stale", "age_s": 40.0}, LIMITS)
    found = health.of_fleet({"here": health.of_host(live(), LIMITS), "there": gone}, {})
    assert (found["score"], found["status"]) == (75, "warning")
    assert found["deductions"] == [{"cause": "Host there: It was not measured for 40 s.", "points": 25}]
    assert health.of_fleet({"there": gone}, {})["status"] == "unknown"


def test_it_is_shown_with_those_robots_that_one_sees(api: Any, robots: Any) -> None:
    robots("oht-01")
    assert api("bob").get(f"{API}/health/").json()["status"] == "unknown"
    measure(cpu_percent=93.0)
    shown = api("bob").get(f"{API}/health/").json()
    assert shown["score"] == 100 - sum(one["points"] for one in shown["deductions"]) < 100
    assert shown["deductions"][0]["cause"] == "Host here: Processor 93 %, limit 90 %"
    assert [one["robot"] for one in shown["robots"]] == ["oht-01"]
    assert (shown["hosts"][0]["score"], shown["hosts"][0]["status"]) == (55, "critical")
    assert api("charlie").get(f"{API}/health/").status_code == 403


def measure(ago_s: float = 0.0, **values: float) -> None:
    at = timezone.now() - timedelta(seconds=ago_s)
    recording.record([Measured("host:here", name, "%", at, value) for name, value in values.items()])


def test_thresholds_are_changed_by_who_may_and_told_with_before_and_after(api: Any) -> None:
    assert api("bob").get(f"{API}/thresholds/").json()["cpu_warning"] == 80
    assert api("bob").patch(f"{API}/thresholds/", {"cpu_warning": 50}).status_code == 403
    changed = api("erin").patch(f"{API}/thresholds/", {"cpu_warning": 50, "cpu_critical": 90})
    assert changed.status_code == 200 and changed.json()["cpu_warning"] == 50
    row = JournalEntry.objects.get(verb="thresholds.changed")
    assert row.data == {"changes": {"cpu_warning": [80.0, 50.0]}}
    measure(cpu_percent=60.0)
    assert "limit 50 %" in api("bob").get(f"{API}/health/").json()["deductions"][0]["cause"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"cpu_warning": 95}, "cpu_warning"),
        ({"disk_critical": 85}, "disk_warning"),
        ({"cpu_warning": 101}, "cpu_warning"),
        ({"memory_warning": "much"}, "memory_warning"),
        ({"disk_warning": "nan"}, "disk_warning"),
        ({"disk_critical": "nan"}, "disk_critical"),
        ({"swap_warning": 5}, "swap_warning"),
    ],
)
def test_a_threshold_that_makes_no_sense_changes_nothing(body: dict[str, Any], field: str, api: Any) -> None:
    answer = api("erin").patch(f"{API}/thresholds/", body)
    assert answer.status_code == 400 and field in answer.json()["errors"]
    assert not JournalEntry.objects.filter(verb="thresholds.changed").exists()
