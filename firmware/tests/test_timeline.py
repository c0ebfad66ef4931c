"""`robots/{slug}/timeline/`: the story of a robot for whoever sees it, to its first row, without where people acted from."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts import journal
from robotctl.tests.system import register

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/robots/oht-01/timeline/"


@pytest.fixture(autouse=True)
def story() -> None:
    """Rows of two robots; every third is a stop, and one was recorded late."""
    register("oht-01", "http://127.0.0.1:9")
    for number in range(12):
        verb = "stop.requested" if number % 3 == 0 else "command.accepted"
        journal.record(verb, f"row {number}", robot="oht-01")
        journal.record(verb, f"other {number}", robot="oht-02")
    journal.record("stop.requested", "late", robot="oht-01", late_at=timezone.now() - timedelta(hours=1))


def walk(client: Any, **query: Any) -> list[dict[str, Any]]:
    found, before = [], None
    while True:
        body = client.get(URL, {**query, "limit": 5, **({"before": before} if before else {})}).json()
        found += body["results"]
        before = body["older"]
        if before is None:
            return found


def test_it_goes_back_to_the_first_row_once_each_and_a_late_one_stands_where_it_happened(api: Any) -> None:
    rows = [row for row in walk(api("bob")) if row["robot"] == "oht-01"]
    told = [row["target"] for row in rows if row["target"].startswith("row")]
    assert told == [f"row {number}" for number in reversed(range(12))]
    assert rows[-1]["target"] == "late" and rows[-1]["late"] is True
    assert len({row["id"] for row in rows}) == len(rows)
    assert not any("other" in row["target"] for row in rows)


def test_kinds(api: Any) -> None:
    assert {row["verb"] for row in walk(api("bob"), kind="stops")} == {"stop.requested"}
    assert len(walk(api("bob"), kind="stops")) == 5
    assert walk(api("bob"), kind="control") == []


def test_where_people_acted_from_is_not_in_it(api: Any) -> None:
    api("erin").patch("/api/v1/robots/oht-01/", {"name": "new"}, format="json")
    (row,) = [row for row in walk(api("bob")) if row["verb"] == "robot.changed"]
    assert row["actor"] == "erin"
    assert not {"address", "user_agent"} & row.keys()


@pytest.mark.parametrize("query", ["before=x", "before=0", "limit=501", "kind=all", "colour=red"])
def test_what_cannot_be_is_refused_at_its_name(api: Any, query: str) -> None:
    answer = api("bob").get(f"{URL}?{query}")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [query.partition("=")[0]])


def test_who_may_not_see_the_robot_sees_no_story(api: Any) -> None:
    assert api("charlie").get(URL).status_code == 404
    assert api(None).get(URL).status_code == 401
