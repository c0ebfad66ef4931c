"""The admin's probe pages: for those who may configure robots, started by POST, journalled, and without a secret."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import JournalEntry
from firmware.drainer import drainer
from firmware.models import Robot, RobotState
from firmware.tests.machines.lift import Lift
from firmware.tests.test_registry import browser
from robotctl.tests.system import SIMULATOR_TOKENS, free_port, register

pytestmark = pytest.mark.django_db(transaction=True)
ADDRESS = "/admin/firmware/robot/probe/"
SECRET = "s3cret-token-9"


def page_of(robot: Robot) -> str:
    return f"/admin/firmware/robot/{robot.pk}/probe/"


def probed() -> list[JournalEntry]:
    return list(JournalEntry.objects.filter(verb="robot.probed").order_by("pk"))


def asked(simulator: Any) -> dict[str, int]:
    return dict(simulator.robot._by_path)


@pytest.mark.parametrize(
    ("name", "status"), [("charlie", 302), ("bob", 302), ("alice", 302), ("otto", 403), ("erin", 200), ("ada", 200)]
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_probing_is_for_those_who_may_configure(
    people: Any, simulators: Any, name: str, status: int, method: str
) -> None:
    simulator = simulators()
    client, robot = browser(name), register("oht-01", simulator.url)
    for path in (page_of(robot), ADDRESS):
        answer = getattr(client, method)(path, {"url": simulator.url})
        assert answer.status_code == status
        assert status != 302 or "/admin/login/" in answer["Location"]
    if status != 200 or method == "get":
        assert asked(simulator) == {} and probed() == []


def test_a_stranger_is_asked_to_sign_in_and_a_forged_form_is_refused(people: Any, simulators: Any) -> None:
    simulator = simulators()
    robot = register("oht-01", simulator.url)
    forger = Client(enforce_csrf_checks=True)
    forger.force_login(people["erin"])
    for path in (page_of(robot), ADDRESS):
        assert Client().post(path, {"url": simulator.url}).status_code == 302
        assert forger.post(path, {"url": simulator.url}).status_code == 403
    assert asked(simulator) == {} and probed() == []


def test_the_robots_own_page_leads_to_the_probe(people: Any) -> None:
    robot = register("oht-01", "http://127.0.0.1:9")
    erin = browser("erin")
    assert page_of(robot) in erin.get(f"/admin/firmware/robot/{robot.pk}/change/").content.decode()
    assert ADDRESS in erin.get("/admin/firmware/robot/").content.decode()
    assert erin.get("/admin/firmware/robot/999/probe/").status_code == 404
    assert erin.get("/admin/firmware/robot/x/probe/").status_code == 404


@pytest.mark.parametrize("dialect", ["observed", "documented"])
def test_a_registered_robot_is_probed_with_its_own_credentials(people: Any, simulators: Any, dialect: str) -> None:
    simulator = simulators(dialect=dialect)
    robot = register("oht-01", simulator.url)
    answer = browser("erin").post(page_of(robot))
    page = answer.content.decode()
    assert answer.status_code == 200 and not simulator.died
    for words in ("✓ ok", "read state", "What would be shown", "idle", "Position", " ms"):
        assert words in page
    assert {request.split()[0] for request in asked(simulator)} == {"GET"}
    assert "<script>" not in page.split("</head>")[1] and "onclick" not in page
    (row,) = probed()
    assert (row.target, row.robot, row.outcome, row.data["profile"]) == ("oht-01", "oht-01", "ok", "oht50")
    for token in SIMULATOR_TOKENS.values():
        assert token not in page + str(row.data)


def test_a_hanging_robot_is_told_of_and_lives(people: Any, simulators: Any) -> None:
    simulator = simulators(dialect="observed")
    simulator.fault("hang", path="/api/v1/motion")
    page = browser("erin").post(page_of(register("oht-01", simulator.url))).content.decode()
    assert "✗ failed" in page and "hangs" in page and "Not asked" in page
    simulator.clear()
    assert drainer.wait(5) == 0 and not simulator.died
    assert probed()[0].outcome == "failed" and probed()[0].data["hung"] is True


def test_a_robot_that_must_not_be_asked_is_not(people: Any, simulators: Any) -> None:
    from datetime import timedelta

    from django.utils import timezone

    simulator = simulators()
    robot = register("oht-01", simulator.url)
    RobotState.objects.update(quiet_until=timezone.now() + timedelta(seconds=60))
    assert "in a few seconds" in browser("erin").post(page_of(robot)).content.decode()
    RobotState.objects.update(quiet_until=None)
    Robot.objects.update(retired_at=timezone.now())
    assert "retired" in browser("erin").post(page_of(robot)).content.decode()
    assert asked(simulator) == {}


def test_credentials_that_cannot_be_read_are_told_of(people: Any) -> None:
    robot = register("oht-01", "http://127.0.0.1:9")
    Robot.objects.update(sealed_credentials="spoiled")
    page = browser("erin").post(page_of(robot)).content.decode()
    assert "ROBOTCTL_KEYS" in page
    assert probed()[0].outcome == "failed"


def test_an_address_is_probed_before_registration_and_leads_to_it(people: Any, simulators: Any) -> None:
    simulator = simulators(dialect="observed")
    erin = browser("erin")
    assert "Find out" in erin.get(ADDRESS).content.decode()
    form = {"url": simulator.url, "profile": "", "credentials": f"admin={SECRET}", "settings": ""}
    page = erin.post(ADDRESS, form).content.decode()
    for words in ("→ best fit", "oht50", "Register this robot", "profile=oht50", simulator.url):
        assert words in page
    (row,) = probed()
    assert (row.target, row.robot, row.outcome) == (simulator.url, "", "ok")
    assert SECRET not in page + str(row.data)
    assert not simulator.died and {request.split()[0] for request in asked(simulator)} == {"GET"}


def test_what_does_not_fit_and_what_does_not_answer_leads_to_the_mend(people: Any) -> None:
    erin = browser("erin")
    with Lift() as lift:
        page = erin.post(ADDRESS, {"url": lift.url, "credentials": f"key={lift.keys['monitor']}"}).content.decode()
    assert "No installed profile fits" in page and "docs/connect-a-robot.md" in page
    assert "Register this robot" not in page and lift.keys["monitor"] not in page
    page = erin.post(ADDRESS, {"url": f"http://127.0.0.1:{free_port()}", "profile": "oht50"}).content.decode()
    assert "refuses connections" in page and "check the port" in page
    page = erin.post(ADDRESS, {"url": f"http://me:{SECRET}@127.0.0.1:9"}).content.decode()
    assert "do not belong into the address" in page and SECRET not in page
    assert [row.outcome for row in probed()] == ["failed"] * 3
    assert SECRET not in str([(row.target, row.data) for row in probed()])


@pytest.mark.parametrize("form", [
    {"url": ""},
    {"url": "http://127.0.0.1:9", "profile": "nope"},
    {"url": "http://127.0.0.1:9", "credentials": SECRET},
    {"url": "http://127.0.0.1:9", "settings": f"={SECRET}", "credentials": f"admin={SECRET}"},
])  # fmt: skip
def test_a_form_that_is_wrong_sends_nothing_and_repeats_no_secret(people: Any, form: dict[str, str]) -> None:
    page = browser("erin").post(ADDRESS, form).content.decode()
    assert "What it says" not in page and probed() == []
    assert "name=value" in page or "nope" not in page
    if form.get("credentials") and "settings" not in form:
        assert "Line 1: give it as name=value." in page and SECRET not in page
