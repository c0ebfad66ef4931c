"""A kind of robot and a machine of it, both written for one test: what it is told, and what it says and shows."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.conf import settings

from firmware import commands, profile, threads
from firmware.client import RobotClient
from firmware.models import Command, Robot
from firmware.tests.conftest import ScriptedRobot, http
from robotctl.tests.fixtures import look
from robotctl.tests.system import register

Scripted = Callable[..., ScriptedRobot]
SECRET = "s3cret&key"
LANGUAGE = """
about = {{ title = "A robot" }}
transport = {{ timeout_s = 1.0, headers = {{ X-Site = "north" }} }}
replies = {{ in_doubt = [500]{replies} }}
reads = {{ state = {{ path = "/state?all=1" }} }}
stop = {{ path = "/stop", token = "admin", stopped = [{{ machine_state = "estopped" }}] }}
[auth]
tokens = ["admin"]
read_token = "admin"
{auth}
[fields.machine_state]
type = "text"
from = [{{ read = "state", path = "st" }}]
map = {{ IDLE = "idle", RUN = "moving", STOP = "estopped" }}
[commands.go]
class = "motion"
path = "/go"
token = "admin"
{go}
"""
FAULT = http(b"link fault", "500 Error", "text/plain")
BELIEVED = 'confirm = [{ machine_state = "moving" }]\nconfirm_within_s = 0.6\n'
JOB = (
    'job = { id = "job", path = "/jobs/$job", state = "stage", why = "why", working = ["running"], done = ["done"],'
    ' failed = ["failed"] }\n'
)


def said(value: Any, status: str = "200 OK") -> bytes:
    return http(msgspec.json.encode(value), status)


def text(go: str = BELIEVED, auth: str = "", replies: str = "") -> str:
    whole = LANGUAGE.format(auth=auth, go=go, replies=f", {replies}" if replies else "")
    assert [str(fault) for fault in profile.examine(whole)[1]] == []
    return whole


def client(url: str, whole: str) -> RobotClient:
    return RobotClient(slug="x", base_url=url, profile=profile.parse(whole, "x"), credentials={"admin": SECRET})


def sent(request: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first.removesuffix(" HTTP/1.1"), dict(line.split(": ", 1) for line in lines), body


class Machine:
    """A robot that says at each path what the test put there: bytes, or a function that makes them."""

    def __init__(self, scripted: Scripted) -> None:
        self.began_at: float | None = None
        self.says: dict[str, Any] = {"GET /state?all=1": self.state}
        self.robot: ScriptedRobot = scripted(self._answer)

    def _answer(self, sock: Any) -> None:
        reply = self.says[sent(self.robot.requests[-1])[0]]
        sock.sendall(reply() if callable(reply) else reply)

    def state(self, for_s: float = 60.0) -> bytes:
        moves = self.began_at is not None and time.monotonic() < self.began_at + for_s
        return said({"st": "RUN" if moves else "IDLE"})

    def obey(self, reply: bytes) -> bytes:
        self.began_at = time.monotonic()
        return reply


@pytest.fixture
def machine(scripted: Scripted, transactional_db: None) -> Iterator[Machine]:
    yield Machine(scripted)
    assert threads.settle(20)


@pytest.fixture
def told(machine: Machine, people: Any, request: pytest.FixtureRequest) -> Callable[..., Command]:
    """`told(go)`: what became of `go` of a robot of a kind that was written for this test."""
    name = f"actions-{abs(hash(request.node.nodeid))}"

    def send(go: str = BELIEVED, replies: str = "") -> Command:
        (folder := Path(settings.ENV.var) / "profiles").mkdir(exist_ok=True)
        (folder / f"{name}.toml").write_text(text(go, replies=replies))
        robot: Robot = register("x-1", machine.robot.url, profile=name)
        look(robot)
        command, _ = commands.submit(robot, people["alice"], name="go", params={})
        commands.running.wait(command.pk, 20)
        command.refresh_from_db()
        return command

    return send


def result(command: Command) -> tuple[str, str | None]:
    return command.status, command.code
