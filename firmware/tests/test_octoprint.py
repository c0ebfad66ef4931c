"""OctoPrint, a robot server that nobody here wrote, is connected by a profile file alone. What runs here is the real one."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
from django.utils import timezone

from accounts.models import JournalEntry, User
from firmware import commands, profile, reset, state, stop
from firmware.client import RobotClient
from firmware.errors import BadProfile, Rejected
from firmware.models import Command, Robot, RobotState
from robotctl.environment import ROOT
from robotctl.problems import Problem
from robotctl.tests.fixtures import until

KEY = "an-api-key-of-an-operator-in-octoprint"
TEMPERATURES = ("tool_c", "tool_target_c", "bed_c", "bed_target_c")
UP_WITHIN_S = 90.0
CONFIG = """
server: {firstRun: false, onlineCheck: {enabled: false}, pluginBlacklist: {enabled: false}}
serial: {port: VIRTUAL, baudrate: 115200, log: true}
plugins:
  virtual_printer: {enabled: true}
  _disabled: [health_check, softwareupdate, announcements, tracking, discovery, errortracking]
"""
USERS = f"""
_version: 2
robotctl: {{active: true, apikey: {KEY}, groups: [users], password: "!", permissions: [], settings: {{}}}}
"""


class OctoPrint:
    """A running OctoPrint and its virtual printer; `post` is somebody at OctoPrint's own page."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.folder = folder
        (folder / "config.yaml").write_text(CONFIG)
        (folder / "users.yaml").write_text(USERS)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        address = ["--host", "127.0.0.1", "--port", str(port)]
        arguments = [str(program), "serve", "--basedir", str(folder), *address, "--iknowwhatimdoing"]
        self.output = (folder / "output").open("wb")
        self.process = subprocess.Popen(arguments, stdout=self.output, stderr=self.output, start_new_session=True)

    def is_up(self) -> bool:
        assert self.process.poll() is None, (self.folder / "output").read_text()[-2000:]
        with suppress(requests.ConnectionError):
            return requests.get(f"{self.url}/api/version", headers={"X-Api-Key": KEY}, timeout=5).ok
        return False

    def post(self, path: str, **body: Any) -> None:
        assert requests.post(self.url + path, headers={"X-Api-Key": KEY}, json=body, timeout=30).status_code == 204

    def says(self) -> str:
        """Its own word for the printer's state."""
        reply = requests.get(f"{self.url}/api/job", headers={"X-Api-Key": KEY}, timeout=5).json()
        return str(reply["state"])

    def connect(self) -> None:
        self.post("/api/connection", command="connect")
        until(lambda: self.says() == "Operational")

    def disconnect(self) -> None:
        self.post("/api/connection", command="disconnect")
        until(lambda: self.says() in ("Offline", "Offline after error"))

    def sent(self, gcode: str) -> int:
        """How often the printer was sent `gcode`."""
        log = self.folder / "logs" / "serial.log"
        return sum("Send:" in line and gcode in line for line in log.read_text().splitlines()) if log.exists() else 0

    def end(self) -> None:
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # whatever it may have started itself
        self.process.wait(5)
        self.output.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OctoPrint]:
    program = Path(os.environ.get("OCTOPRINT_VENV") or ROOT / ".octoprint") / "bin" / "octoprint"
    if not program.exists():
        missing = "OctoPrint is not installed: .ci/run puts it into .octoprint; OCTOPRINT_VENV names another venv"
        pytest.fail(missing) if os.environ.get("CI") == "1" else pytest.skip(missing)
    octoprint = OctoPrint(program, tmp_path_factory.mktemp("octoprint"))
    try:
        until(octoprint.is_up, timeout_s=UP_WITHIN_S, every_s=0.25)
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
def register(people: dict[str, User]) -> Callable[..., Robot]:
    def make(server: OctoPrint, key: str = KEY) -> Robot:
        robot = Robot(slug="printer-1", name="Printer", profile="octoprint", base_url=server.url, simulated=True)
        robot.credentials = {"key": key}
        robot.full_clean()
        robot.save()
        return robot

    return make


def live(test: Callable[..., None]) -> Callable[..., None]:
    """Marks a test that needs OctoPrint and the database."""
    marked: Callable[..., None] = pytest.mark.octoprint(pytest.mark.django_db(transaction=True)(test))
    return marked


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


# --- the real one ---------------------------------------------------------------------------------------------------
@live
def test_an_offline_printer_is_there_without_invented_values_and_can_be_connected(
    server: OctoPrint, register: Any, people: Any, polling: Any
) -> None:
    robot = register(server)
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
    server.disconnect()


@live
def test_home_is_acknowledged_and_never_called_confirmed(
    octoprint: OctoPrint, register: Any, people: Any, polling: Any
) -> None:
    robot = register(octoprint)
    polling()
    until(lambda: reads(robot, "idle"))
    command = send(robot, people["alice"], "home")
    assert (command.status, command.code, command.done_at) == ("acknowledged", "not_observable", None)
    assert command.attempts == 1
    until(lambda: octoprint.sent("G28 X0 Y0 Z0") == 1)
    assert verbs("command.") == ["command.accepted", "command.acknowledged"]


@live
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


@live
def test_an_offline_printer_is_not_called_stopped_and_is_stopped_once_somebody_connects_it(
    server: OctoPrint, register: Any, people: Any, polling: Any
) -> None:
    robot = register(server)
    polling()
    until(lambda: reads(robot, "unknown"))
    (result,) = stop.stop_robots([robot], by="bob")
    assert (result.status, result.confirmed_at) == ("not_confirmed", None)
    assert result.detail.startswith("Printer is not operational")  # in OctoPrint's own words
    stopped = document(robot)["stop"]
    assert (stopped["latched"], stopped["status"]) == (True, "not_confirmed")

    server.post("/api/connection", command="connect")  # at OctoPrint's own page; ours refuses it while latched
    seen = until(lambda: reads(robot, "estopped"))
    until(lambda: document(robot)["stop"]["status"] == "confirmed")
    assert seen["readings"]["error"]["value"] == "Closing serial port due to emergency stop M112."
    assert reset.reset(robot, reason="all clear")["status"] == "confirmed"
    server.disconnect()


@live
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
    assert (command.status, command.code) == ("rejected", "rejected")
    assert command.detail == "Printer is not operational or currently printing"

    polling()
    until(lambda: reads(robot, "unknown"))
    until(lambda: qualities(robot) == {"stale"}, timeout_s=20)
    assert document(robot)["link"]["failures"] == 0


@live
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


@live
def test_temperatures_of_a_printer_that_fell_silent_grow_old_although_octoprint_still_serves_them(
    octoprint: OctoPrint, register: Any, people: Any, polling: Any
) -> None:
    robot = register(octoprint)
    polling()
    until(lambda: qualities(robot) == {"live"}, timeout_s=15)
    octoprint.post("/api/printer/command", command="!!DEBUG:go_awol")
    until(lambda: qualities(robot) == {"stale"}, timeout_s=25)
    assert octoprint.says() == "Operational"
    assert document(robot)["readings"]["tool_c"]["age_s"] > 10


# --- what the profile language needed for it --------------------------------------------------------------------------
@pytest.fixture
def answering() -> Iterator[Callable[[int, Any], RobotClient]]:
    """`answering(409, {…})`: OctoPrint's profile before a server that always answers so."""
    servers: list[HTTPServer] = []

    def start(status: int, body: Any) -> RobotClient:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                payload = msgspec.json.encode(body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever).start()
        base_url = f"http://127.0.0.1:{servers[-1].server_port}"
        return RobotClient(slug="x", base_url=base_url, profile=profile.load("octoprint"), credentials={})

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def temperatures(taken_at: Any) -> dict[str, Any]:
    return {"temperature": {"tool0": {"actual": 21.3, "target": 0.0}, "history": [{"time": taken_at}]}}


def test_only_the_statuses_that_a_read_names_mean_that_there_is_nothing_to_read(answering: Any) -> None:
    client = answering(409, {"error": "Printer is not operational"})
    assert client.read("printer").values == {}
    with pytest.raises(Rejected, match="Printer is not operational"):
        client.read("job")


@pytest.mark.parametrize("offset_s", [-30.0, 3600.0])
def test_values_are_as_old_as_the_robot_says_and_never_younger_than_their_read(answering: Any, offset_s: float) -> None:
    asked_at = time.time()
    seen = answering(200, temperatures(asked_at + offset_s)).read("printer")
    assert seen.values == {"tool_c": 21.3, "tool_target_c": 0.0}
    expected = asked_at if offset_s > 0 else asked_at + offset_s
    assert seen.began_at == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("taken_at", [None, "yesterday", True])
def test_values_whose_time_is_not_told_are_no_readings(answering: Any, taken_at: Any) -> None:
    assert answering(200, temperatures(taken_at)).read("printer").values == {}


@pytest.mark.parametrize(("error", "expected"), [
    ("Closing serial port due to emergency stop M112.", "estopped"),
    ("Too many consecutive timeouts, printer still connected and alive?", "fault"),
    (None, "fault"),
    (112, None),  # not a text: nothing is known, and nothing breaks
])  # fmt: skip
def test_only_an_error_that_names_m112_reads_stopped(answering: Any, error: Any, expected: str | None) -> None:
    seen = answering(200, {"state": "Offline after error", "error": error}).read("job")
    assert seen.values.get("machine_state") == expected


def test_a_word_that_nobody_foresaw_reads_unknown(answering: Any) -> None:
    assert answering(200, {"state": "Levitating"}).read("job").values["machine_state"] == "unknown"


@pytest.mark.parametrize(("line", "changed", "key"), [
    ("observable = false", "", "commands.home.confirm"),  # forgotten is not the same as impossible
    ("confirm_within_s = 20.0", "observable = false", "commands.connect.observable"),
    ("absent = [409]", "absent = [403]", "reads[...].absent"),  # a refusal is never "nothing to read"
    ("temperature.history[-1].time", "temperature.history[", "reads.printer.taken_at"),
])  # fmt: skip
def test_a_profile_that_contradicts_itself_is_refused_by_key(line: str, changed: str, key: str) -> None:
    text = (profile.FOLDER / "octoprint.toml").read_text()
    assert line in text
    with pytest.raises(BadProfile) as refused:
        profile.parse(text.replace(line, changed), "octoprint.toml")
    assert refused.value.key.startswith(key)
