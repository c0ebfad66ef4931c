"""The pages of reports, as the server sends them: complete without a script, and without anything that our policy forbids."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import journal, reports
from accounts.models import JournalEntry
from realtime.report_charts import drawn

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def otto(people: Any) -> Client:
    """The auditor's browser."""
    client = Client()
    client.force_login(people["otto"])
    return client


@pytest.mark.parametrize("name", sorted(reports.REPORTS))
def test_a_report_is_whole_without_scripts_and_styles_of_its_own(name: str, otto: Client, people: Any) -> None:
    for verb in ("stop.requested", "command.accepted", "command.refused", "role.changed"):
        journal.record(
            verb, "x", actor=people["alice"], robot="oht-01", reason="<b>so</b>", data={"name": "move", "code": "late"}
        )
    page = otto.get(f"/reports/{name}/")
    body = page.content.decode()
    assert page.status_code == 200
    assert "<svg" in body and "<figcaption" in body and "Made (UTC)" in body and "by otto" in body
    assert not re.search(r"\sstyle=|\son\w+=|<b>so</b>", body)
    assert f"/api/v1/reports/{name}/?" in body and "as=csv" in body
    assert 'data-stop="*"' in body, "STOP ALL stays"
    assert JournalEntry.objects.get(verb="report.viewed").data["as"] == "page"


def test_a_form_that_is_wrong_is_shown_again_with_what_is_wrong(otto: Client) -> None:
    page = otto.get("/reports/operations/?from=2026-02-02T00:00&until=2026-02-01T00:00&robot=nobody")
    assert page.status_code == 400
    body = page.content.decode()
    assert "There is no robot" in body and 'value="2026-02-02T00:00"' in body
    assert not JournalEntry.objects.filter(verb="report.viewed").exists()


def test_only_who_may_see_the_journal_finds_the_reports(otto: Client, people: Any) -> None:
    assert 'href="/reports/"' in otto.get("/reports/").content.decode()
    assert otto.get("/reports/nothing/").status_code == 404
    operator = Client()
    operator.force_login(people["alice"])
    assert operator.get("/reports/").status_code == operator.get("/reports/security/").status_code == 403
    assert 'href="/reports/"' not in operator.get("/account/").content.decode()
    assert Client().get("/reports/").status_code == 302


def test_the_usual_periods_keep_the_robot_and_the_person(otto: Client) -> None:
    body = otto.get("/reports/security/?person=bob").content.decode()
    starts = [row for row in re.findall(r'href="\?([^"]+)">([^<]+)</a>', body) if "person=bob" in row[0]]
    assert [words for _, words in starts] == ["This shift", "Last shift", "Today", "24 h", "7 d", "30 d"]
    for query, _ in starts:
        assert otto.get(f"/reports/security/?{query.replace('&amp;', '&')}").status_code == 200
    last = timezone.now() - timedelta(minutes=2)
    assert JournalEntry.objects.filter(verb="report.viewed", at__gt=last, person_id__isnull=False).count() == 7


def test_a_chart_of_nothing_and_of_one_point_is_drawn() -> None:
    for kind in ("bars", "line"):
        assert drawn({"kind": kind, "title": "x", "unit": "", "series": [{"name": "a", "points": []}]})["rows"] == []
        one = drawn({"kind": kind, "title": "x", "unit": "", "series": [{"name": "a", "points": [["Monday", 3]]}]})
        assert one["rows"] == [["Monday", "3"]] and "Monday: 3" in one["spoken"]
