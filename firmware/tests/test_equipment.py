"""Modules, registers, scans and settings over the API: as the robot tells them, with age, and written with care."""

import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import JournalEntry
from firmware.models import Equipment
from firmware.simulator.vehicle import Settings
from robotctl.tests.fixtures import until

pytestmark = pytest.mark.django_db(transaction=True)
REGISTER = "robots/oht-01/modules/2/registers/0x0030/"


def url(path: str) -> str:
    return f"/api/v1/{path}"


def key() -> dict[str, str]:
    return {"HTTP_IDEMPOTENCY_KEY": uuid.uuid4().hex}


def write(client: Any, path: str, value: Any, **more: Any) -> Any:
    body = {"value": value, "reason": "new charger", "wait_s": 20} | more
    return client.post(url(path), body, format="json", **key())


def approved(api: Any, asked: Any, wait_s: float = 20) -> Any:
    """A second person agrees to what was asked for; the command as it then is."""
    row = asked.json()
    assert row["status"] == "awaiting_approval", row
    return api("ada").post(url(f"commands/{row['id']}/approve/"), {"wait_s": wait_s}, format="json").json()


def test_modules_are_listed_with_unit_and_age(robots: Any, api: Any) -> None:
    robots("oht-01")
    found = api("bob").get(url("robots/oht-01/modules/")).json()
    assert [module["address"] for module in found["modules"]] == ["2", "3", "4", "5"]
    reading = found["modules"][0]["readings"]["health_percent"]
    assert (reading["value"], reading["unit"], reading["quality"]) == (95.0, "%", "live")
    details = api("bob").get(url("robots/oht-01/modules/2/")).json()["details"]
    assert details["power"]["readings"]["battery_c"]["value"] == 24.9
    assert details["power"]["readings"]["min_cell_mv"]["unit"] == "mV"


def test_an_unplugged_module_reads_offline_and_tells_nothing_more(robots: Any, api: Any) -> None:
    _, simulator = robots("oht-01")
    simulator.plug(2, there=False)
    found = api("bob").get(url("robots/oht-01/modules/")).json()["modules"][0]["readings"]
    assert (found["state"]["value"], found["health_percent"]["value"]) == ("OFFLINE", 0.0)
    table = api("bob").get(url("robots/oht-01/modules/2/registers/")).json()
    assert (table["registers"], table["error"]["detail"]) == ([], "Module 2 is offline")
    assert write(api("erin"), REGISTER, 28).status_code == 503


@pytest.mark.parametrize("part", ["modules/", "modules/2/", "modules/2/registers/", REGISTER[15:], "lidar/", "config/"])
def test_who_may_not_see_a_robot_sees_none_of_its_parts(part: str, robots: Any, api: Any) -> None:
    _, simulator = robots("oht-01")
    before = simulator.truth()["requests"]
    for method in ("get", "post", "patch"):
        answer = getattr(api("charlie"), method)(url(f"robots/oht-01/{part}"), {}, format="json")
        assert answer.status_code in (404, 405), (method, answer.status_code)
    assert simulator.truth()["requests"] == before


def test_a_table_too_old_shows_no_number_raw_or_not(robots: Any, api: Any) -> None:
    _, simulator = robots("oht-01")
    path = url("robots/oht-01/modules/2/registers/")
    assert api("bob").get(path).json()["registers"][0]["raw"] is not None
    simulator.fault("refuse")
    Equipment.objects.update(observed_at=timezone.now() - timedelta(minutes=6), asked_at=None)
    row = api("bob").get(path).json()["registers"][0]
    assert (row["raw"], row["reading"]["value"], row["reading"]["quality"]) == (None, None, "stale")


def test_many_who_look_at_once_ask_the_robot_once(robots: Any, api: Any) -> None:
    _, simulator = robots("oht-01")
    before = simulator.truth()["requests"]
    for _ in range(5):
        api("bob").get(url("robots/oht-01/modules/"))
    assert simulator.truth()["requests"] == before + 1


def test_what_cannot_be_read_any_more_keeps_its_last_value_and_grows_old(robots: Any, api: Any) -> None:
    _, simulator = robots("oht-01")
    api("bob").get(url("robots/oht-01/lidar/"))
    simulator.fault("error", path="/api/v1/lidar")
    time.sleep(0.6)
    scan = api("bob").get(url("robots/oht-01/lidar/")).json()
    assert scan["error"]["code"] == "rejected"
    assert len(scan["points"]) > 300
    assert scan["age_s"] > 0.5
    until(lambda: api("bob").get(url("robots/oht-01/lidar/")).json()["quality"] == "stale")


def test_a_scan_has_points_in_millimetres_and_zones(robots: Any, api: Any) -> None:
    robots("oht-01")
    scan = api("bob").get(url("robots/oht-01/lidar/")).json()
    assert all(0 <= angle < 360 and 0 < distance <= 12000 for angle, distance, _ in scan["points"])
    assert scan["nearest_mm"]["value"] == min(point[1] for point in scan["points"])
    assert [zone["radius_mm"] for zone in scan["zones"]] == [500, 1200]


def test_a_robot_without_a_lidar_says_so_and_invents_no_point(robots: Any, api: Any) -> None:
    robots("oht-01", dialect="observed")
    scan = api("bob").get(url("robots/oht-01/lidar/")).json()
    assert scan["points"] == [] and scan["quality"] == "never"
    assert scan["error"]["detail"] == "Failed to get LiDAR 360 frame"


def test_registers_are_shown_in_their_unit_and_raw(robots: Any, api: Any) -> None:
    robots("oht-01")
    table = api("bob").get(url("robots/oht-01/modules/2/registers/")).json()["registers"]
    limit = next(one for one in table if one["address"] == "0x0030")
    assert (limit["title"], limit["raw"], limit["reading"]["value"]) == ("Charge voltage limit", 294, 29.4)
    assert (limit["minimum"], limit["maximum"], limit["reading"]["unit"], limit["writable"]) == (0, 60, "V", True)


def test_a_register_is_written_and_confirmed_by_reading_it_back(robots: Any, api: Any) -> None:
    _, simulator = robots("oht-01")
    row = approved(api, write(api("erin"), REGISTER, 28.5))
    assert (row["status"], row["params"]["raw"]) == ("confirmed", 285)
    again = api("erin").get(url(REGISTER)).json()
    assert (again["address"], again["raw"], again["reading"]["value"]) == ("0x0030", 285, 28.5)
    assert simulator.truth()["bodies_received"] == 1


@pytest.mark.parametrize(
    ("path", "value", "status", "words"),
    [
        (REGISTER, 61, 400, "Must be from 0 to 60 V; 61 is not."),
        (REGISTER, 28.55, 400, "Must be a whole number of steps of 0.1 V."),
        (REGISTER, "much", 400, "A valid number is required."),
        ("robots/oht-01/modules/2/registers/0x0049/", 2, 400, "Must be"),
        ("robots/oht-01/modules/2/registers/0x0000/", 1, 409, "read-only"),
        ("robots/oht-01/modules/2/registers/0x7777/", 1, 404, "no register"),
        ("robots/oht-01/modules/9/registers/0x0030/", 1, 404, "lists no module 9"),
    ],
)
def test_a_wrong_write_is_refused_in_the_fields_own_words(
    path: str, value: Any, status: int, words: str, robots: Any, api: Any
) -> None:
    _, simulator = robots("oht-01")
    posts = simulator.truth()["bodies_received"]
    answer = write(api("erin"), path, value)
    assert answer.status_code == status
    assert words in answer.content.decode()
    assert simulator.truth()["bodies_received"] == posts
    assert JournalEntry.objects.filter(verb="command.refused", robot="oht-01").exists()


def test_a_write_needs_its_own_right_and_a_reason(robots: Any, api: Any) -> None:
    robots("oht-01")
    assert write(api("alice"), REGISTER, 28).status_code == 403
    assert write(api("charlie"), REGISTER, 28).status_code == 404
    answer = api("erin").post(url(REGISTER), {"value": 28}, format="json", **key())
    assert answer.status_code == 400 and "reason" in answer.json()["errors"]


def test_a_robot_that_says_written_and_tells_no_value_confirms_nothing(simulators: Any, robots: Any, api: Any) -> None:
    settings = Settings(dialect="observed", boot_s=0.0, register_write_s=(0.3, 0.4), modules=True)
    robots("oht-01", settings=settings)
    row = approved(api, write(api("erin"), REGISTER, 28))
    assert (row["status"], row["code"]) == ("outcome_unknown", "unreadable")


def test_polling_steps_aside_while_a_register_is_written(robots: Any, api: Any, polling: Any) -> None:
    settings = Settings(dialect="observed", boot_s=0.0, register_write_s=(2.0, 2.1), modules=True)
    robot, simulator = robots("oht-01", settings=settings)
    polling()
    until(lambda: api("erin").get(url("robots/oht-01/state/")).json()["mode"] == "online")
    assert approved(api, write(api("erin"), REGISTER, 28), wait_s=0)["status"] in ("accepted", "sending")
    time.sleep(0.8)
    before = simulator.truth()["requests"]
    time.sleep(1.0)
    assert simulator.truth()["requests"] == before
    until(lambda: simulator.truth()["requests"] > before + 3, timeout_s=15)
    assert robot.slug == "oht-01" and not simulator.died


def test_settings_are_set_confirmed_and_their_drift_is_listed(robots: Any, api: Any) -> None:
    _, simulator = robots("oht-01")
    path = url("robots/oht-01/config/")
    before = api("bob").get(path).json()
    assert before["reported"]["state_machine.timeout_ms"]["value"] == 30000
    assert before["drift"] == []
    body = {"values": {"state_machine.timeout_ms": 20000}, "reason": "shorter rail", "wait_s": 10}
    asked = api("erin").patch(path, body, format="json").json()
    (waiting,) = asked["commands"]
    assert (waiting["status"], asked["desired"], asked["drift"]) == ("awaiting_approval", {}, [])
    agreed = api("ada").post(url(f"commands/{waiting['id']}/approve/"), {"wait_s": 10}, format="json").json()
    assert (agreed["status"], agreed["approved_by"]) == ("confirmed", "ada")
    Equipment.objects.update(asked_at=None)
    after = api("erin").get(path).json()
    assert after["reported"]["state_machine.timeout_ms"]["value"] == 20000
    assert after["desired"]["state_machine.timeout_ms"]["by"] == "erin"
    simulator.restart()
    Equipment.objects.update(asked_at=None)
    drifted = until(lambda: api("bob").get(path).json()["drift"], timeout_s=12)
    assert drifted[0]["setting"] == "state_machine.timeout_ms"
    assert (drifted[0]["desired"], drifted[0]["reported"]) == (20000, 30000)
    row = JournalEntry.objects.get(verb="setting.desired")
    assert row.reason == "shorter rail"


def test_a_wrong_setting_is_refused_and_changes_nothing(robots: Any, api: Any) -> None:
    robots("oht-01")
    path = url("robots/oht-01/config/")
    for values in ({"state_machine.timeout_ms": 5}, {"state_machine.nope": 1}, {}):
        answer = api("erin").patch(path, {"values": values, "reason": "x"}, format="json")
        assert answer.status_code == 400, values
    denied = api("bob").patch(path, {"values": {"state_machine.timeout_ms": 2000}, "reason": "x"}, format="json")
    assert denied.status_code == 403
    assert api("bob").get(path).json()["desired"] == {}


def test_a_stop_pressed_while_a_register_is_written_is_repeated_and_read_at_once(
    robots: Any, api: Any, polling: Any
) -> None:
    settings = Settings(dialect="observed", boot_s=0.0, register_write_s=(4.0, 4.1), modules=True)
    _, simulator = robots("oht-01", settings=settings)
    polling()
    until(lambda: api("erin").get(url("robots/oht-01/state/")).json()["mode"] == "online")
    approved(api, write(api("erin"), REGISTER, 28), wait_s=0)
    time.sleep(0.6)
    result = api("bob").post(url("robots/oht-01/stop/"), {}, format="json").json()["results"][0]
    assert result["status"] == "not_confirmed"  # today's firmware queues it behind the write, and we say so
    until(lambda: api("bob").get(url("robots/oht-01/state/")).json()["stop"]["status"] == "confirmed", timeout_s=12)
    assert simulator.truth()["state"] == "ESTOP"
    assert not simulator.died
