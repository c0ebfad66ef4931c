"""The lift, connected by its file alone: what somebody found who connected it with the guide, and what must stay so."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from firmware import threads
from firmware.drainer import drainer
from firmware.models import RobotState
from firmware.tests.machines.lift import Lift
from robotctl.tests.fixtures import until
from robotctl.tests.system import register

pytestmark = pytest.mark.django_db(transaction=True)
STATE = "/api/v1/robots/lift-1/state/"
SHIPPED = Path(__file__).parent / "machines" / "nordlift.toml"


@pytest.fixture
def profile_file() -> Iterator[Path]:
    """The lift's profile, installed; what a test makes of it is gone afterwards."""
    own = Path(settings.ENV.var) / "profiles" / "nordlift.toml"
    own.parent.mkdir(exist_ok=True)
    own.write_text(SHIPPED.read_text())
    yield own
    own.write_text(SHIPPED.read_text())


@pytest.fixture
def lift(profile_file: Path, transactional_db: None) -> Iterator[Lift]:
    with Lift() as machine:
        yield machine
    assert drainer.wait(5) == 0
    assert threads.settle(20), "something still talks to the lift"  # before the tables are emptied under it


@pytest.fixture
def robot(lift: Lift) -> Any:
    made = register("lift-1", lift.url, profile="nordlift", settings={"unit": "nl3-0017"})
    made.credentials = dict(lift.keys)
    made.save()
    return made


def live(api: Any) -> None:
    until(lambda: (s := api("bob").get(STATE).json())["mode"] == "online" and s["machine_state"]["quality"] == "live")


def command(api: Any, name: str, wait_s: float = 10, **params: Any) -> Any:
    body = {"name": name, "params": params, "wait_s": wait_s}
    key = {"HTTP_IDEMPOTENCY_KEY": uuid.uuid4().hex}
    return api("alice").post("/api/v1/robots/lift-1/commands/", body, format="json", **key).json()


def test_a_robots_own_settings_are_in_the_paths_of_its_equipment(robot: Any, api: Any) -> None:
    parts = api("bob").get("/api/v1/robots/lift-1/modules/").json()
    assert [part["address"] for part in parts["modules"]] == ["1", "2", "3"]
    assert api("bob").get("/api/v1/robots/lift-1/lidar/").json()["points"]
    assert api("bob").get("/api/v1/robots/lift-1/config/").json()["reported"]["unit.lights"]["value"] == "auto"
    cells = api("bob").get("/api/v1/robots/lift-1/modules/1/registers/").json()["registers"]
    assert [(cell["address"], cell["writable"], cell["maximum"]) for cell in cells] == [
        ("10", True, 100),
        ("11", False, None),
    ]


def test_a_cell_and_a_setting_are_written_and_confirmed(robot: Any, api: Any, polling: Any) -> None:
    polling()
    live(api)
    path = "/api/v1/robots/lift-1/modules/1/registers/10/"
    body = {"value": 60, "reason": "heavier load", "wait_s": 10}
    key = {"HTTP_IDEMPOTENCY_KEY": uuid.uuid4().hex}
    assert api("erin").post(path, body, format="json", **key).json()["status"] == "confirmed"
    change = {"values": {"unit.max_speed_mps": 0.7}, "reason": "narrow aisle", "wait_s": 10}
    answer = api("erin").patch("/api/v1/robots/lift-1/config/", change, format="json").json()
    assert answer["commands"][0]["status"] == "confirmed"
    assert (answer["reported"]["unit.max_speed_mps"]["value"], answer["drift"]) == (0.7, [])


def test_a_changed_profile_is_in_force_for_a_robot_that_is_being_polled(
    robot: Any, api: Any, polling: Any, profile_file: Path
) -> None:
    polling()
    live(api)
    text = profile_file.read_text()
    profile_file.write_text(text.replace('path = "mm[0]", scale = 0.001', 'path = "mm[0]", scale = 0.002'))
    until(lambda: api("bob").get(STATE).json()["readings"]["position_m"]["value"] == 10.0, timeout_s=10)


def test_a_robot_whose_heartbeat_stands_still_is_not_live_and_is_not_moved(
    robot: Any, lift: Lift, api: Any, polling: Any
) -> None:
    polling()
    live(api)
    lift.freeze_values()
    until(lambda: api("bob").get(STATE).json()["machine_state"]["quality"] == "stale", timeout_s=12)
    refused = command(api, "goal", target_m=12.5)
    assert refused["code"] in ("state_forbids", "mode_forbids")
    lift.thaw()
    live(api)
    assert RobotState.objects.get(robot=robot).restarted_at is None  # it stood still; it has not restarted


def test_a_job_that_ends_otherwise_than_done_is_told_in_the_row(robot: Any, api: Any, polling: Any) -> None:
    polling()
    live(api)
    going = command(api, "goal", target_m=50)
    assert (going["status"], going["done_at"]) == ("confirmed", None)
    assert command(api, "halt")["status"] == "confirmed"
    row = until(lambda: (r := api("alice").get(f"/api/v1/commands/{going['id']}/").json())["code"] and r, timeout_s=8)
    assert (row["status"], row["code"], row["done_at"]) == ("confirmed", "job_failed", None)


def test_the_platform_obeys_and_says_no_and_is_believed_by_its_state(robot: Any, api: Any, polling: Any) -> None:
    polling()
    live(api)
    row = command(api, "platform", level=2)
    assert row["status"] == "confirmed"
    assert "actuator link fault" in row["detail"]
    until(lambda: api("alice").get(f"/api/v1/commands/{row['id']}/").json()["done_at"], timeout_s=8)


def test_what_a_robot_was_not_given_is_named_before_it_is_needed(lift: Lift, api: Any) -> None:
    body = {
        "slug": "lift-2",
        "name": "L",
        "profile": "nordlift",
        "base_url": lift.url,
        "settings": {"unit": "nl3-0017"},
    }
    wrong = api("erin").post("/api/v1/robots/", body | {"credentials": {"driver": "x"}}, format="json")
    assert wrong.status_code == 400
    assert "there is no driver" in wrong.json()["errors"]["credentials"][0]
    unset = api("erin").post("/api/v1/robots/", body | {"settings": {}}, format="json")
    assert "settings" in unset.json()["errors"]
    half = {"credentials": {"monitor": lift.keys["monitor"]}}
    made = api("erin").post("/api/v1/robots/", body | half, format="json")
    assert made.json()["credentials_missing"] == ["drive"]
    stopped = api("bob").post("/api/v1/robots/lift-2/stop/", {}, format="json").json()["results"][0]
    assert stopped["status"] == "not_confirmed"
    assert "Its credential 'drive' is not set" in stopped["detail"]
