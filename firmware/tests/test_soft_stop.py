"""A kind of robot without a state of its own for a stop: it stands idle after one, and can be moved again once the latch is lifted."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from firmware import profile, reset
from robotctl.tests.fixtures import look
from robotctl.tests.system import register

pytestmark = pytest.mark.django_db(transaction=True)
STOP = """[stop]
path = "/api/v1/state/stop"
token = "admin"
stopped = [{ machine_state = "idle", speed_mps = { near = 0, tolerance = 0.01 } }]
"""


@pytest.fixture(params=["no reset", "a reset of something else"])
def soft(request: pytest.FixtureRequest) -> Iterator[str]:
    """The OHT-50 as a robot whose stop is an ordinary halt."""
    text = (profile.SHIPPED / "oht50.toml").read_text()
    text = re.sub(r"(?ms)^\[stop\]\n.*?(?=^\[)", STOP, text)
    text = re.sub(r"(?ms)^\[reset\]\n.*?(?=^\[|^#)", "", text)
    if request.param != "no reset":
        text = text.replace(
            "[stop]\n", '[reset]\npath = "/api/v1/state/reset"\ntoken = "admin"\nfrom_states = ["fault"]\n[stop]\n'
        )
    path = Path(settings.ENV.var) / "profiles" / "soft.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    yield "soft"
    path.unlink()


def test_it_is_stopped_latched_reset_and_moved_again(soft: str, api: Any, simulators: Any) -> None:
    simulator = simulators(dialect="documented")
    robot = register("oht-01", simulator.url, profile=soft)
    look(robot)
    assert api("alice").send("oht-01", "move", {"target_m": 90}, wait_s=8).json()["status"] == "confirmed"
    result = api("bob").post("/api/v1/robots/oht-01/stop/").json()["results"][0]
    assert (result["status"], simulator.truth()["state"]) == ("confirmed", "IDLE")
    assert api("alice").send("oht-01", "move", {"target_m": 20}).json()["code"] == "stop_latched"
    answer = api("erin").post("/api/v1/robots/oht-01/stop/reset/", {"reason": "clear"}, format="json").json()
    assert answer["status"] == "confirmed", answer
    look(robot)
    assert api("alice").send("oht-01", "move", {"target_m": 20}, wait_s=8).json()["status"] == "confirmed"


@pytest.mark.parametrize(
    ("values", "stopped"),
    [
        ({"machine_state": "estopped"}, True),
        ({"machine_state": "fault"}, True),
        ({"machine_state": "idle"}, False),
        ({"machine_state": "moving"}, False),
        ({}, True),
    ],
)
def test_which_robot_is_in_a_stop(values: dict[str, Any], stopped: bool) -> None:
    assert reset.in_a_stop(profile.load("oht50"), values) is stopped
