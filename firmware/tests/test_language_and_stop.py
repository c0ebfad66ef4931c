"""Nothing that a profile may say weakens a stop, confirms what was not seen, or shows what must not be shown."""

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.conf import settings

from firmware import profile, stop, threads
from firmware.errors import Frozen
from firmware.models import Robot, RobotState
from firmware.tests.conftest import ScriptedRobot, http
from robotctl.tests.system import register

KIND = """
about = { title = "A robot" }
auth = { header = "X-Key", tokens = ["key"], read_token = "key" }
[reads.state]
path = "/state"
%s
[fields.machine_state]
type = "text"
from = [{ read = "state", path = "st" }]
map = { IDLE = "idle", RUN = "moving", STOP = "estopped" }
[fields.said]
type = "text"
from = [{ read = "state", path = "said" }]
[config.drive]
path = "/settings"
write = { path = "/settings", body = "$values" }
settings.top = { path = "top", minimum = 0, maximum = 9 }
[config.lamp]
path = "/settings"
write = { path = "/settings", body = "$values" }
settings.low = { path = "low", minimum = 0, maximum = 9 }
[stop]
path = "/stop"
token = "key"
stopped = [{ machine_state = "estopped" }]
%s
"""


class Machine:
    """A robot that says what the test tells it to, and remembers what it was asked."""

    def __init__(self, scripted: Callable[..., ScriptedRobot]) -> None:
        self.says: dict[str, Any] = {"st": "IDLE"}
        self.wait_s: dict[str, float] = {}
        self.log: list[tuple[float, str]] = []
        self.wire = scripted(self._answer)

    def asked(self, path: str) -> list[float]:
        return [at for at, asked in self.log if asked == path]

    def _answer(self, sock: Any) -> None:
        path = self.wire.requests[-1].split(b" ")[1].decode()
        self.log.append((time.monotonic(), path))
        time.sleep(self.wait_s.get(path, 0.0))
        sock.sendall(http(msgspec.json.encode(self.says)))


@pytest.fixture
def machine(scripted: Any) -> Machine:
    return Machine(scripted)


@pytest.fixture
def connected(machine: Machine, transactional_db: None) -> Iterator[Callable[..., Robot]]:
    """`connected(read="…", more="…")`: the machine, registered, with these lines in its profile."""

    def make(read: str = "", more: str = "") -> Robot:
        name = f"odd-{uuid.uuid4().hex[:8]}"
        folder = Path(settings.ENV.var) / "profiles"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.toml").write_text(KIND % (read, more))
        robot: Robot = register("odd", machine.wire.url, profile=name)
        robot.credentials = {"key": "s3cr3t-key"}
        robot.save()
        return robot

    yield make
    assert threads.settle(20), "something still talks to the machine"  # before the tables are emptied under it


def test_a_stop_is_not_confirmed_by_what_the_robot_took_before_it(connected: Any, machine: Machine) -> None:
    machine.says = {"st": "STOP", "time": time.time() - 8, "now": time.time()}  # a snapshot of before, told honestly
    robot = connected('taken_at = "time"\nclock = "now"')
    (result,) = stop.stop_robots([robot], by="bob")
    assert (result.status, result.confirmed_at) == ("sent", None)
    assert result.attempts > 1  # it is a standing order


def test_a_setup_call_that_waited_for_its_turn_does_not_go_out_after_a_stop(connected: Any, machine: Machine) -> None:
    from firmware import setup
    from firmware.clients import client_for

    setup_table = '[setup.arm]\ntitle = "arm"\npath = "/arm"\nwhen = [{ machine_state = "idle" }]'
    robot = connected(more=setup_table)
    client = client_for(robot)
    with client._turn:  # an earlier request has the robot
        waiting = threads.start(threads.commands, setup._call, robot, client, "arm")
        time.sleep(0.2)
        RobotState.objects.filter(robot=robot).update(stop_latched=True)  # by another process
    waiting.result(timeout=5)
    assert machine.asked("/arm") == []


def test_a_value_that_repeats_a_credential_does_not_show_it(connected: Any, machine: Machine, api: Any) -> None:
    from robotctl.tests.fixtures import look

    machine.says = {"st": "IDLE", "said": "your key is s3cr3t-key"}
    look(connected())
    answer = api("bob").get("/api/v1/robots/odd/state/")
    assert answer.json()["readings"]["said"]["value"] == "your key is …"


def test_who_looks_now_and_then_does_not_take_a_beat_that_came_round_again_for_frozen(
    connected: Any, machine: Machine
) -> None:
    from firmware.clients import client_for

    client = client_for(connected('alive = "beat"\nfrozen_after_s = 0.4'))
    machine.says = {"st": "IDLE", "beat": 1}
    for _ in range(3):
        assert client.read("state").values == {"machine_state": "idle"}
        time.sleep(0.5)
    with pytest.raises(Frozen):
        client.read("state", polling=True)  # who reads steadily knows


def test_a_number_without_end_breaks_no_page(connected: Any, machine: Machine, api: Any) -> None:
    from robotctl.tests.fixtures import look

    robot = connected()
    look(robot)
    machine.says = {"st": "IDLE", "top": 10**400, "low": float("1e308")}
    answer = api("erin").get("/api/v1/robots/odd/config/")
    assert answer.status_code == 200
    assert answer.json()["reported"]["drive.top"]["value"] is None


def test_settings_are_all_checked_before_the_first_is_sent(connected: Any, machine: Machine, api: Any) -> None:
    from robotctl.tests.fixtures import look

    robot = connected()
    look(robot)
    sent = len(machine.asked("/settings"))
    body = {"values": {"drive.top": 5, "lamp.low": 99}, "reason": "x", "wait_s": 1}
    answer = api("erin").patch("/api/v1/robots/odd/config/", body, format="json")
    assert answer.status_code == 400
    assert len(machine.asked("/settings")) == sent


@pytest.mark.parametrize("name", ["register_write", "configure"])
def test_what_is_checked_elsewhere_cannot_be_sent_as_a_plain_command(name: str, robots: Any, api: Any) -> None:
    robots("oht-01")
    params = {"module": "2", "register": "0x0000", "raw": 1e300}
    key = {"HTTP_IDEMPOTENCY_KEY": uuid.uuid4().hex}
    body = {"name": name, "params": params, "wait_s": 1}
    answer = api("erin").post("/api/v1/robots/oht-01/commands/", body, format="json", **key)
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_command")


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("%s\n[fields.machine", "pattern = '''st=(?P<st>\\w+) (a+)+$'''\n[fields.machine", "reads.state.pattern"),
        ("maximum = 9 }\n[config.lamp]", "maximum = 9, scale = 0 }\n[config.lamp]", "config.drive.settings.top.scale"),
    ],
)
def test_a_profile_that_would_hang_or_zero_everything_is_refused(old: str, new: str, key: str) -> None:
    assert old in KIND
    text = KIND.replace(old, new)
    _, faults = profile.examine(text.replace("%s", ""))
    assert key in [fault.key for fault in faults]
