"""Reports: who may see them, what they ask of the database, what they refuse, and what a spreadsheet is given."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import journal, permissions, reports, roles
from accounts.factor_models import Authenticator
from accounts.models import ApiToken, JournalCheck, JournalEntry, Role, User
from accounts.reports import Asked
from firmware.models import DesiredSetting, Equipment, Robot, RobotGroup, Site

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/reports/"
NAMES = sorted(reports.REPORTS)
WEEK = timedelta(days=7)


def asked(**more: Any) -> Asked:
    now = timezone.now()
    return Asked(now - WEEK, now + timedelta(seconds=1), **more)


def figures(report: Any) -> dict[str, Any]:
    return {one["name"]: one["value"] for one in report["figures"]}


def lines(report: Any, name: str) -> list[dict[str, Any]]:
    (table,) = [one for one in report["tables"] if one["name"] == name]
    return [dict(zip([column["name"] for column in table["columns"]], row, strict=True)) for row in table["rows"]]


def robot(slug: str, **more: Any) -> Robot:
    return Robot.objects.create(slug=slug, name=slug, profile="oht50", base_url="http://127.0.0.1:1", **more)


@pytest.fixture
def house(people: dict[str, User]) -> dict[str, User]:
    """Grants of every kind: on a robot, a site, a group of robots; to people and groups; over, not begun, in need of a factor."""
    site, now = Site.objects.create(name="Hall A"), timezone.now()
    first, second, third = robot("oht-01", site=site), robot("oht-02"), robot("oht-03", site=site)
    fleet, crew = RobotGroup.objects.create(name="east"), Group.objects.create(name="crew")
    fleet.robots.add(second, third)
    crew.user_set.add(people["charlie"], people["bob"])
    careful = Role.objects.create(name="careful", title="Careful", parent_id="engineer", asks_factor=True)
    give = {role.pk: role for role in Role.objects.all()}
    hour = timedelta(hours=1)
    permissions.grant(first, role=give["operator"], holder=people["charlie"], by=people["ada"], reason="contractor")
    permissions.grant(site, role=give["viewer"], holder=crew, by=None, reason="crew", ends_at=now + hour)
    permissions.grant(fleet, role=give["engineer"], holder=people["alice"], by=None, reason="belts")
    permissions.grant(fleet, role=careful, holder=people["otto"], by=None, reason="waits for a factor")
    permissions.grant(second, role=careful, holder=people["bob"], by=None, reason="has one")
    permissions.grant(
        second, role=give["operator"], holder=people["charlie"], by=None, reason="later", starts_at=now + hour
    )
    gone = permissions.grant(third, role=give["engineer"], holder=people["charlie"], by=None, reason="was")
    type(gone).objects.filter(pk=gone.pk).update(ends_at=now - hour)
    Authenticator.objects.create(user=people["bob"], name="app", confirmed=True)
    User.objects.create(username="left", password="!", role_id="engineer", is_active=False)
    return people


def test_every_cell_of_the_access_review_is_what_permissions_say(house: Any) -> None:
    report = reports.made("access-review", asked(), house["otto"])
    rows = {(line["person"], line["robot"]): line for line in lines(report, "rights")}
    granted = 0
    for person in User.objects.all():
        for one in Robot.objects.all():
            line = rows.get((person.username, one.slug)) or rows[person.username, "all robots"]
            granted += line["robot"] == one.slug
            for verb in roles.ROBOT:
                cell = line[verb] == "yes"
                assert cell is permissions.may(person, f"robot.{verb}", one), f"{person} {verb} {one}: {line}"
    assert granted == 5  # charlie on two, alice on two, bob on one
    assert "operator granted on robot oht-01 (contractor)" in rows["charlie", "oht-01"]["because"]
    assert "to group crew until" in rows["charlie", "oht-03"]["because"]
    states = {line["reason"]: line["counts"] for line in lines(report, "grants")}
    assert states == {
        "contractor": "yes", "crew": "yes", "belts": "yes", "has one": "yes", "later": "begins later", "was": "is over",
        "waits for a factor": "no: the person has no second factor",
    }  # fmt: skip


def test_the_access_review_asks_as_much_of_many_as_of_few(house: Any) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            reports.made("access-review", asked(), house["otto"])
        return len(seen)

    queries()  # content types are read once
    few = queries()
    fleet, operator = RobotGroup.objects.get(), Role.objects.get(pk="operator")
    for number in range(12):
        fleet.robots.add(robot(f"oht-1{number:02d}"))
        person = User.objects.create(username=f"p{number}", password="!", role_id="guest")
        permissions.grant(fleet, role=operator, holder=person, by=None, reason="many")
        ApiToken.objects.create(person)
    assert queries() == few <= 20


@pytest.mark.parametrize("name", NAMES)
def test_a_report_asks_as_much_of_many_rows_as_of_few(name: str, house: Any) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            reports.made(name, asked(), house["otto"])
        return len(seen)

    verbs = (
        "command.accepted",
        "command.confirmed",
        "stop.requested",
        "reset.failed",
        "access.denied",
        "command.outcome_unknown",
    )
    rows = [
        journal.entry(verb, "x", robot="oht-01", data={"name": "move", "command": 1, "took_s": 1.5}) for verb in verbs
    ]
    journal.record_all(rows)
    queries()
    few = queries()
    for _ in range(20):
        journal.record_all([journal.entry(verb, "x", robot="oht-02", data={"name": "jog"}) for verb in verbs])
    assert queries() == few <= 22


def test_unused_rights_dormant_people_tokens_and_roles(house: Any) -> None:
    alice, otto = house["alice"], house["otto"]
    journal.record("command.accepted", actor=alice, robot="oht-01", data={"name": "jog"})
    journal.record("stop.requested", actor=alice, robot="oht-01")
    ApiToken.objects.create(alice, expiry=None, name="for ever")
    used, _ = ApiToken.objects.create(otto, name="used")
    ApiToken.objects.filter(pk=used.pk).update(last_used_at=timezone.now())
    Role.objects.create(name="spare", title="Spare")
    report = reports.made("access-review", asked(), otto)
    unused = {line["right"] for line in lines(report, "unused") if line["person"] == "alice"}
    assert "robot.command" in unused and "robot.reset" in unused  # the grant's, too
    assert not unused & {"robot.jog", "robot.stop", "robot.view"}
    dormant = {line["person"]: line["dormant"] for line in lines(report, "people")}
    assert dormant["alice"] == "" and dormant["bob"] == "never did anything" and dormant["left"] == ""
    found = {line["name"]: line["finding"] for line in lines(report, "tokens")}
    assert found == {"for ever": "never expires, never used", "used": ""}
    assert {line["role"]: line["finding"] for line in lines(report, "roles")}["spare"] == "nobody has it"


def test_drift_tells_what_is_wanted_what_is_reported_and_what_nobody_read(house: Any) -> None:
    one = Robot.objects.get(slug="oht-01")
    about = {"robot": one, "by": "alice", "at": timezone.now(), "reason": "shorter rail"}
    for name, value in (("timeout_ms", 20_000), ("max_retries", 3), ("not_read", 1)):
        DesiredSetting.objects.create(group="state_machine", name=name, value=value, **about)
    read = {"values": {"timeout_ms": 30_000, "max_retries": 3}}
    Equipment.objects.create(robot=one, part="config:state_machine", document=read, observed_at=timezone.now())
    report = reports.made("drift", asked(), house["otto"])
    states = {line["setting"]: line["state"] for line in lines(report, "settings")}
    assert states == {
        "state_machine.timeout_ms": "drifted",
        "state_machine.max_retries": "as wanted",
        "state_machine.not_read": "never read",
    }
    assert figures(report)["drifting"] == 1


def test_the_record_names_gaps_late_rows_and_what_checks_found(house: Any) -> None:
    now = timezone.now()
    journal.record("stop.requested", robot="oht-01", late_at=now - timedelta(minutes=5))
    last = journal.record("sample.made").pk
    JournalEntry.objects.bulk_create([JournalEntry(pk=last + 4, at=now, verb="sample.made")])
    finding = {"kind": "altered", "id": last, "seal": 3, "words": "row was altered"}
    moved = {**finding, "kind": "row_reordered"}
    for kind in (finding, finding, moved, finding):
        JournalCheck.objects.create(began_at=now, ended_at=now, first_seal=1, last_seal=3, rows=9, findings=[kind])
    report = reports.made("record", asked(), house["otto"])
    told = figures(report)
    assert (told["late"], told["missing_ids"], told["findings"], told["missing_triggers"]) == (1, 3, 1, 0)
    assert lines(report, "gaps") == [{"after": last, "before": last + 4, "missing": 3}]
    assert told["unsealed"] == told["rows"] == JournalEntry.objects.count()


def test_a_reset_that_was_refused_did_not_end(house: Any) -> None:
    for verb in ("reset.confirmed", "reset.failed", "reset.refused"):
        journal.record(verb, "oht-01", robot="oht-01", data={"code": "invalid"})
    report = reports.made("interventions", asked(), house["otto"])
    assert (figures(report)["resets"], figures(report)["resets_refused"]) == (2, 1)
    assert (len(lines(report, "resets")), len(lines(report, "resets_refused"))) == (2, 1)


def test_rows_that_stand_for_many_count_as_many(house: Any) -> None:
    journal.record("auth.sign_in_failed", person=house["bob"], outcome="denied", data={"count": 7})
    journal.record("auth.sign_in_failed", outcome="denied", data={"count": 2})
    journal.record("access.denied", "GET /x", actor=house["bob"], outcome="denied")
    report = reports.made("security", asked(), house["otto"])
    assert figures(report)["sign_in_failures"] == 9 and figures(report)["refused_access"] == 1
    assert {line["person"]: line["count"] for line in lines(report, "failed")} == {"bob": 7, "no such name": 2}
    assert figures(reports.made("security", asked(person=house["bob"]), house["otto"]))["sign_in_failures"] == 7


def test_a_stop_that_was_reset_before_it_was_confirmed_was_never_confirmed(house: Any) -> None:
    for verb in ("stop.requested", "reset.confirmed", "stop.requested", "stop.confirmed", "stop.requested"):
        journal.record(
            verb, "oht-01", robot="oht-01", data={"took_s": 0.4, "attempts": 2} if verb == "stop.confirmed" else {}
        )
    journal.record("stop.confirmed", "oht-02", robot="oht-02", data={"took_s": 9})
    report = reports.made("interventions", asked(robot="oht-01"), house["otto"])
    became = [(line["became"], line["took_s"]) for line in lines(report, "stops")]
    assert became == [("never confirmed", None), ("confirmed", 0.4), ("reset before it was confirmed", None)]
    assert (figures(report)["confirmed"], figures(report)["never_confirmed"], figures(report)["confirmed_longest"]) == (
        1,
        2,
        0.4,
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_period_is_a_report_of_nothing(name: str, api: Any) -> None:
    answer = api("otto").get(f"{URL}{name}/?from=2001-01-01T00:00:00Z&until=2001-01-02T00:00:00Z")
    assert answer.status_code == 200
    assert answer.json()["period"] == {"from": "2001-01-01T00:00:00.000Z", "until": "2001-01-02T00:00:00.000Z"}


def test_only_who_may_see_the_journal_sees_reports_and_that_is_in_it(api: Any) -> None:
    for who, expected in ((None, 401), ("charlie", 403), ("erin", 403), ("otto", 200), ("ada", 200)):
        assert api(who).get(URL).status_code == expected
        assert api(who).get(f"{URL}security/?person=bob").status_code == expected
    viewed = JournalEntry.objects.filter(verb="report.viewed").order_by("pk")
    assert [(row.target, row.person_id, row.data["as"]) for row in viewed] == [
        ("security", User.objects.get(username="bob").pk, "json")
    ] * 2
    assert [one["report"] for one in api("otto").get(URL).json()["results"]] == NAMES


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("until=0001-01-01T00:00:00Z", "until"),
        ("from=9999-01-01T00:00:00Z&until=9999-12-31T23:59:59Z", "from"),
        ("robot=oht-01&robot=oht-02", "robot"),
        ("from=2026-02-02T00:00:00Z&until=2026-02-01T00:00:00Z", "from"),
        ("from=2020-01-01T00:00:00Z&until=2026-01-01T00:00:00Z", "from"),
        ("from=yesterday", "from"),
        ("robot=nobody", "robot"),
        ("person=nobody", "person"),
        ("as=pdf", "as"),
        ("form=2026-02-02", "form"),
    ],
)
def test_what_is_asked_wrongly_is_told_at_its_field(query: str, field: str, api: Any) -> None:
    answer = api("otto").get(f"{URL}operations/?{query}")
    assert answer.status_code == 400 and field in answer.json()["errors"]
    assert api("otto").get(f"{URL}nothing/").status_code == 404
    assert not JournalEntry.objects.filter(verb="report.viewed").exists()


def test_a_spreadsheet_works_nothing_out(api: Any, people: Any) -> None:
    journal.record("reset.failed", robot="oht-01", actor=people["erin"], reason='=HYPERLINK("http://x","y")')
    answer = api("otto").get(f"{URL}interventions/?as=csv")
    assert answer["Content-Type"].startswith("text/csv") and "attachment" in answer["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(answer.content.decode())))
    assert any("'=HYPERLINK" in cell for row in rows for cell in row)
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
