"""OctoPrint, a robot server that nobody here wrote, is connected by a profile file alone. What runs here is the real one."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import JournalEntry, User
from firmware import commands, reset, state, stop
from firmware.models import Command, Robot, RobotState
from firmware.tests.octoprint_tools import KEY, MISSING, PROGRAM, OctoPrint
from robotctl.problems import Problem
from robotctl.tests.fixtures import until

if not PROGRAM.exists() and os.environ.get("CI") != "1":
    pytest.skip(MISSING, allow_module_level=True)
pytestmark = [pytest.mark.octoprint, pytest.mark.django_db(transaction=True)]
TEMPERATURES = ("tool_c", "tool_target_c", "bed_c", "bed_target_c")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OctoPrint]:
    assert PROGRAM.exists(), MISSING
    octoprint = OctoPrint(tmp_path_factory.mktemp("octoprint"))
    try:
        octoprint.wait()
        yield octoprint
    finally:
        octoprint.end()


@pytest.fixture
def octoprint(server: OctoPrint) -> Iterator[OctoPrint]:
    """OctoPrint with its printer connected."""
    server.connect()
    yield server
    server.disconnect()


@pytest.fixture
def offline(server: OctoPrint) -> Iterator[OctoPrint]:
    """OctoPrint that has no connection to its printer, and no error to tell of."""
    server.connect()
    server.disconnect()
    yield server
    server.disconnect()


@pytest.fixture
def register(people: dict[str, User]) -> Callable[..., Robot]:
    def make(server: OctoPrint, key: str = KEY) -> Robot:
        robot = Robot(slug="printer-1", name="Printer", profile="octoprint", base_url=server.url, simulated=True)
        robot.credentials = {"key": key}
        robot.full_clean()
        robot.save()
        return robot

    return make


def document(robot: Robot) -> dict[str, Any]:
    row = RobotState.objects.select_related("robot__site").get(robot=robot)
    return state.document(row.robot, row, timezone.now())


def reads(robot: Robot, machine_state: str) -> dict[str, Any] | None:
    """The state document, once it is online and its live machine state is this."""
    seen = document(robot)
    machine = seen["machine_state"]
    there = (seen["mode"], machine["value"], machine["quality"]) == ("online", machine_state, "live")
    return seen if there else None


def qualities(robot: Robot) -> set[str]:
    return {document(robot)["readings"][name]["quality"] for name in TEMPERATURES}


def send(robot: Robot, user: User, name: str, **params: Any) -> Command:
    """Submit a command and wait for its end."""
    command, _ = commands.submit(robot, user, name=name, params=params)
    commands.running.wait(command.pk, 25)
    command.refresh_from_db()
    return command


def verbs(prefix: str) -> list[str]:
    return list(JournalEntry.objects.filter(verb__startswith=prefix).order_by("pk").values_list("verb", flat=True))


def test_an_offline_printer_is_there_without_invented_values_and_can_be_connected(
    offline: OctoPrint, register: Any, people: Any, polling: Any
) -> None:
    robot = register(offline)
    polling()
    seen = until(lambda: reads(robot, "unknown"))  # OctoPrint answers; of the printer it knows nothing
    assert seen["readings"]["said"]["value"] == "Offline"
    assert {seen["readings"][name]["value"] for name in TEMPERATURES} == {None}
    assert qualities(robot) == {"never"}
    assert (seen["link"]["failures"], seen["link"]["last_error"]) == (0, None)  # a 409 is no failing robot
    with pytest.raises(Problem) as refused:
        send(robot, people["alice"], "home")
    assert refused.value.code == "state_forbids"

    wrong = send(robot, people["alice"], "connect", port="/dev/nowhere")
    assert (wrong.status, wrong.detail) == ("rejected", "port is invalid")
    command = send(robot, people["alice"], "connect")
    assert (command.status, command.code) == ("confirmed", None)
    assert reads(robot, "idle")  # when a command answers, the state already shows it
    until(lambda: qualities(robot) == {"live"}, timeout_s=15)
    tool = document(robot)["readings"]["tool_c"]
    assert 15 < tool["value"] < 35
    assert tool["unit"] == "°C"


def test_home_is_acknowledged_and_never_called_confirmed(
    octoprint: OctoPrint, register: Any, people: Any, polling: Any
) -> None:
    robot, before = register(octoprint), octoprint.sent("G28 X0 Y0 Z0")
    polling()
    until(lambda: reads(robot, "idle"))
    command = send(robot, people["alice"], "home")
    assert (command.status, command.code, command.done_at) == ("acknowledged", "not_observable", None)
    assert command.attempts == 1
    until(lambda: octoprint.sent("G28 X0 Y0 Z0") == before + 1)
    assert verbs("command.") == ["command.accepted", "command.acknowledged"]


def test_stop_is_confirmed_by_octoprint_naming_m112_latches_and_is_left_by_reconnecting(
    octoprint: OctoPrint, register: Any, people: Any, polling: Any
) -> None:
    robot, before = register(octoprint), octoprint.sent("M112")
    polling()
    until(lambda: reads(robot, "idle"))
    (result,) = stop.stop_robots([robot], by="bob", reason="smoke")
    assert (result.status, result.attempts, result.detail) == ("confirmed", 1, "The robot reads stopped.")
    assert octoprint.sent("M112") > before
    seen = until(lambda: reads(robot, "estopped"))
    assert seen["readings"]["said"]["value"] == "Offline after error"
    assert (seen["stop"]["latched"], seen["stop"]["status"]) == (True, "confirmed")
    assert {seen["commands"][name]["code"] for name in ("home", "connect")} == {"stop_latched"}

    (again,) = stop.stop_robots([robot], by="alice")  # OctoPrint refuses M112 now, but it still reads stopped
    assert again.status == "confirmed"

    left = reset.reset(robot, reason="nothing burns")
    assert (left["status"], left["code"]) == ("confirmed", None)
    seen = until(lambda: reads(robot, "idle"))
    assert not seen["stop"]["latched"]
    assert seen["commands"]["home"]["allowed"]
    assert verbs("stop.") == ["stop.requested", "stop.confirmed"] * 2
    assert verbs("reset.") == ["reset.requested", "reset.confirmed"]


def test_an_offline_printer_is_not_called_stopped_and_is_stopped_once_somebody_connects_it(
    offline: OctoPrint, register: Any, people: Any, polling: Any
) -> None:
    robot = register(offline)
    polling()
    until(lambda: reads(robot, "unknown"))
    (result,) = stop.stop_robots([robot], by="bob")
    assert (result.status, result.confirmed_at) == ("not_confirmed", None)
    assert result.detail.startswith("Printer is not operational")  # in OctoPrint's own words
    stopped = document(robot)["stop"]
    assert (stopped["latched"], stopped["status"]) == (True, "not_confirmed")

    offline.post("/api/connection", command="connect")  # at OctoPrint's own page; ours refuses it while latched
    seen = until(lambda: reads(robot, "estopped"))
    until(lambda: document(robot)["stop"]["status"] == "confirmed")
    assert seen["readings"]["error"]["value"] == "Closing serial port due to emergency stop M112."
    assert reset.reset(robot, reason="all clear")["status"] == "confirmed"


def test_a_printer_that_was_disconnected_behind_our_back_says_no_itself(
    octoprint: OctoPrint, register: Any, people: Any, polling: Any
) -> None:
    robot = register(octoprint)
    loop = polling()
    until(lambda: reads(robot, "idle"))
    until(lambda: qualities(robot) == {"live"}, timeout_s=15)
    loop.end()  # nobody looks: what was read last says idle
    until(lambda: not loop.schedules or not any(one.busy for one in loop.schedules.values()))
    octoprint.disconnect()
    command = send(robot, people["alice"], "home")
    assert (command.status, command.code) == ("rejected", "not_now")
    assert command.detail == "Printer is not operational or currently printing"

    polling()
    until(lambda: reads(robot, "unknown"))
    until(lambda: qualities(robot) == {"stale"}, timeout_s=20)
    assert document(robot)["link"]["failures"] == 0


def test_a_wrong_key_is_refused_in_octoprints_own_words(
    octoprint: OctoPrint, register: Any, people: Any, polling: Any
) -> None:
    robot, before = register(octoprint, key="not-the-key"), octoprint.sent("M112")
    polling()
    until(lambda: document(robot)["link"]["failures"] >= 2)
    seen = document(robot)
    assert "You don't have the permission" in seen["link"]["last_error"]
    assert seen["mode"] != "online"
    assert seen["machine_state"]["quality"] == "never"
    (result,) = stop.stop_robots([robot], by="bob")
    assert result.status == "not_confirmed"
    assert "You don't have the permission" in result.detail
    assert octoprint.sent("M112") == before


def test_a_jog_by_a_step_reaches_the_printer_and_is_never_called_confirmed(
    octoprint: OctoPrint, register: Any, people: Any, polling: Any
) -> None:
    robot = register(octoprint)
    polling()
    until(lambda: reads(robot, "idle"))
    command = send(robot, people["alice"], "jog", x_mm=5)
    assert (command.status, command.code) == ("acknowledged", "not_observable")
    until(lambda: octoprint.sent("X5") >= 1)
    with pytest.raises(Problem) as refused:
        send(robot, people["alice"], "jog", x_mm=500)
    assert "Must be from -100 to 100 mm" in str(refused.value.detail)


def test_temperatures_of_a_printer_that_fell_silent_grow_old_although_octoprint_still_serves_them(
    octoprint: OctoPrint, register: Any, people: Any, polling: Any
) -> None:
    robot = register(octoprint)
    polling()
    until(lambda: qualities(robot) == {"live"}, timeout_s=15)
    jogs = octoprint.sent("X5")
    octoprint.post("/api/printer/command", command="!!DEBUG:go_awol")
    until(lambda: qualities(robot) == {"stale"}, timeout_s=25)
    assert octoprint.says() == "Operational"
    assert document(robot)["readings"]["tool_c"]["age_s"] > 10
    # nor does its state pass for live: what OctoPrint goes on saying is known to be frozen, and nothing moves on it
    until(lambda: document(robot)["machine_state"]["quality"] == "stale", timeout_s=15)
    assert document(robot)["link"]["last_error_code"] == "frozen"
    until(lambda: document(robot)["mode"] == "degraded")
    with pytest.raises(Problem) as refused:
        send(robot, people["alice"], "jog", x_mm=5)
    assert refused.value.code in ("mode_forbids", "state_forbids")
    assert octoprint.sent("X5") == jogs
