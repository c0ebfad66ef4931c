"""Calls that a robot needs before it can be used: made while it reads so, at their pace, never to a stopped robot."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from accounts.models import JournalEntry
from firmware import threads
from firmware.language import reference
from firmware.models import RobotState
from firmware.tests.machines.lift import Lift
from robotctl.environment import ROOT
from robotctl.tests.fixtures import until
from robotctl.tests.system import register

PROFILE = """
[about]
title = "A lift that must be set to bright before use"
[auth]
header = "X-Nordlift-Key"
template = "key=$token"
tokens = ["monitor", "drive"]
read_token = "monitor"
[reads.units]
path = "/v2/units"
[reads.settings]
path = "/v2/units/nl3-0017/settings"
[fields.machine_state]
type = "text"
from = [{ read = "units", path = "[?id=='nl3-0017'] | [0].phase" }]
map = { "0" = "booting", "1" = "idle", "2" = "moving", "3" = "moving", "4" = "estopped" }
[fields.lights]
type = "text"
from = [{ read = "settings", path = "values[?key=='lights'] | [0].now" }]
[setup.bright]
title = "turn the lights on"
path = "/v2/units/nl3-0017/settings/lights"
method = "PATCH"
token = "drive"
body = { set = "on" }
when = [{ machine_state = "idle", lights = "auto" }]
again_after_s = 5
[stop]
path = "/v2/hold"
token = "drive"
body = { unit = "nl3-0017" }
stopped = [{ machine_state = "estopped" }]
"""


def patches(lift: Lift) -> int:
    return sum(request.startswith("PATCH") for request in lift.truth()["requests"])


def connected(lift: Lift, kind: str) -> Any:
    robot = register("lift-1", lift.url, profile=kind)
    robot.credentials = dict(lift.keys)
    robot.save()
    return robot


@pytest.fixture
def kind(transactional_db: None) -> Iterator[str]:
    folder = Path(settings.ENV.var) / "profiles"
    folder.mkdir(exist_ok=True)
    (folder / "bright-lift.toml").write_text(PROFILE)
    yield "bright-lift"
    assert threads.settle(20), "something still talks to the lift"  # before the tables are emptied under it


@pytest.mark.django_db(transaction=True)
def test_a_setup_call_is_made_once_it_is_needed_and_journalled(kind: str, polling: Any) -> None:
    with Lift() as lift:
        robot = connected(lift, kind)
        polling()
        until(lambda: RobotState.objects.get(robot=robot).readings.get("lights", [""])[0] == "on")
        asked = until(lambda: JournalEntry.objects.filter(verb="robot.setup_requested").first())
        row = until(lambda: JournalEntry.objects.filter(verb="robot.setup").first())
        assert (row.outcome, row.data["title"]) == ("ok", "turn the lights on")
        assert asked.pk < row.pk  # written down before it is sent
        assert patches(lift) == 1


@pytest.mark.django_db(transaction=True)
def test_a_stopped_robot_is_left_alone(kind: str, polling: Any) -> None:
    with Lift() as lift:
        robot = connected(lift, kind)
        RobotState.objects.filter(robot=robot).update(stop_latched=True)
        polling()
        until(lambda: RobotState.objects.get(robot=robot).readings.get("lights"))
        until(lambda: sum("settings" in request for request in lift.truth()["requests"]) > 5)
        assert patches(lift) == 0


@pytest.mark.django_db(transaction=True)
def test_a_robot_that_somebody_else_has_stopped_is_left_alone_too(kind: str, polling: Any) -> None:
    """Its hardware stop is pulled, and the call would be due in every state."""
    path = Path(settings.ENV.var) / "profiles" / f"{kind}.toml"
    path.write_text(PROFILE.replace('machine_state = "idle", lights', "lights"))
    with Lift() as lift:
        lift.pull_estop()
        robot = connected(lift, kind)
        polling()
        until(lambda: RobotState.objects.get(robot=robot).readings.get("machine_state", [""])[0] == "estopped")
        until(lambda: sum("settings" in request for request in lift.truth()["requests"]) > 5)
        assert patches(lift) == 0


def test_the_reference_in_the_docs_is_the_language_as_it_is() -> None:
    told = (ROOT / "docs" / "profile-language.md").read_text()
    assert told == reference.page(), "run: manage.py profile_language > docs/profile-language.md"
