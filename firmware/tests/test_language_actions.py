"""How a robot is told something in its own language, and what is believed of what it then says and shows."""

import base64
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.conf import settings

from accounts.models import JournalEntry
from firmware import commands, profile, threads
from firmware.client import RobotClient
from firmware.errors import FirmwareError
from firmware.models import Command, Robot
from firmware.tests.conftest import ScriptedRobot, http
from robotctl.tests.fixtures import look, until
from robotctl.tests.system import register

Scripted = Callable[..., ScriptedRobot]
SECRET = "s3cret&key"
LANGUAGE = """
about = {{ title = "A robot" }}
transport = {{ timeout_s = 1.0, headers = {{ X-Site = "north" }} }}
replies = {{ in_doubt = [500] }}
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


def text(go: str = BELIEVED, auth: str = "") -> str:
    whole = LANGUAGE.format(auth=auth, go=go)
    assert [str(fault) for fault in profile.examine(whole)[1]] == []
    return whole


def client(url: str, whole: str) -> RobotClient:
    return RobotClient(slug="x", base_url=url, profile=profile.parse(whole, "x"), credentials={"admin": SECRET})


def go(one: RobotClient, **params: Any) -> Any:
    return one.command("go", params, send_by=time.monotonic() + 5)


def sent(request: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first.removesuffix(" HTTP/1.1"), dict(line.split(": ", 1) for line in lines), body


BASIC = base64.b64encode(SECRET.encode()).decode()
SIGNED = {
    "scheme": ('scheme = "Bearer"', "Authorization", f"Bearer {SECRET}"),
    "bare": ('header = "X-Key"', "X-Key", SECRET),
    "template": ('header = "X-Key"\ntemplate = "key=$token;v=2"', "X-Key", f"key={SECRET};v=2"),
    "base64": ('scheme = "Basic"\nencode = "base64"', "Authorization", f"Basic {BASIC}"),
}


@pytest.mark.parametrize(("auth", "header", "value"), SIGNED.values(), ids=SIGNED)
def test_each_request_is_signed_in_the_robots_way(auth: str, header: str, value: str, scripted: Scripted) -> None:
    robot = scripted(said({"st": "IDLE"}))
    one = client(robot.url, text(auth=auth))
    one.read("state")
    one.stop()
    go(one)
    lines = [sent(request) for request in robot.requests]
    assert [line for line, *_ in lines] == ["GET /state?all=1", "POST /stop", "POST /go"]
    assert {headers[header] for _, headers, _ in lines} == {value}
    assert {headers["X-Site"] for _, headers, _ in lines} == {"north"}


def test_a_token_in_the_query_is_quoted_and_in_no_header(scripted: Scripted) -> None:
    robot = scripted(said({"st": "IDLE"}))
    one = client(robot.url, text(auth='query = "api key"'))
    one.read("state")
    go(one)
    lines = [sent(request)[0] for request in robot.requests]
    assert lines == ["GET /state?all=1&api%20key=s3cret%26key", "POST /go?api%20key=s3cret%26key"]
    assert not any(SECRET.encode() in request for request in robot.requests)


IN_SPELLINGS = {"query": 'query = "k"', "basic": SIGNED["base64"][0], "bare": ""}


@pytest.mark.parametrize("auth", IN_SPELLINGS.values(), ids=IN_SPELLINGS)
@pytest.mark.parametrize("answer", ["dead", "hang", "close", "echo", "echo as text", "garbage"])
def test_a_secret_is_never_in_an_error_text_in_no_spelling(auth: str, answer: str, scripted: Scripted) -> None:
    def echo(sock: Any) -> None:
        whole = robot.requests[-1].decode()[:280]
        as_text = http(whole.encode(), "400 Bad", "text/plain")
        sock.sendall(as_text if answer == "echo as text" else said({"error": whole}, "418 Teapot"))

    robot = scripted(echo if answer.startswith("echo") else b"garbage\r\n\r\n" if answer == "garbage" else answer)
    one = client("http://127.0.0.1:9" if answer == "dead" else robot.url, text(auth=auth))
    for work in (lambda: one.read("state"), lambda: go(one)):
        with pytest.raises(FirmwareError) as caught:
            work()
        for spelling in (SECRET, SECRET.replace("&", "%26"), BASIC):
            assert spelling not in str(caught.value)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
def test_an_action_has_its_method(method: str, scripted: Scripted) -> None:
    robot = scripted(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert go(client(robot.url, text(f'method = "{method}"\n{BELIEVED}'))).status == 204
    assert sent(robot.requests[0])[0] == f"{method} /go"


PARAMS = """encode = "{encode}"
body = {{ mm = "$to", way = "$way", on = "$on", note = "$note", fixed = 2.0, list = ["$to"] }}
{believed}
[commands.go.params]
to = {{ unit = "m", scale = 1000, maximum = 60 }}
way = {{ type = "text", choices = ["up", "down"], sent = {{ up = 1, down = "D" }} }}
on = {{ type = "flag" }}
note = {{ type = "text", required = false }}
"""


def test_parameters_are_sent_in_the_robots_unit_and_words(scripted: Scripted) -> None:
    robot = scripted(said({}))
    one = client(robot.url, text(PARAMS.format(encode="json", believed=BELIEVED)))
    go(one, to=12.3456, way="up", on=True)
    go(one, to=0.5, way="down", on=False, note="a & b")
    first, second = (msgspec.json.decode(sent(request)[2]) for request in robot.requests)
    assert first == {"mm": 12345.6, "way": 1, "on": True, "fixed": 2.0, "list": [12345.6]}
    assert second == {"mm": 500, "way": "D", "on": False, "note": "a & b", "fixed": 2.0, "list": [500]}
    assert type(second["mm"]) is int


def test_a_form_is_written_as_one(scripted: Scripted) -> None:
    robot = scripted(said({}))
    form = PARAMS.format(encode="form", believed=BELIEVED).replace(', list = ["$to"]', "")
    go(client(robot.url, text(form)), to=0.5, way="up", on=True, note="a & b")
    _, headers, body = sent(robot.requests[0])
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert body == b"mm=500&way=1&on=true&note=a+%26+b&fixed=2"
    assert headers["Content-Length"] == str(len(body))


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
def told(machine: Machine, people: Any, request: pytest.FixtureRequest) -> Callable[[str], Command]:
    """`told(go)`: what became of `go` of a robot of a kind that was written for this test."""
    name = f"actions-{abs(hash(request.node.nodeid))}"

    def send(go: str = BELIEVED) -> Command:
        (folder := Path(settings.ENV.var) / "profiles").mkdir(exist_ok=True)
        (folder / f"{name}.toml").write_text(text(go))
        robot: Robot = register("x-1", machine.robot.url, profile=name)
        look(robot)
        command, _ = commands.submit(robot, people["alice"], name="go", params={})
        commands.running.wait(command.pk, 20)
        command.refresh_from_db()
        return command

    return send


def result(command: Command) -> tuple[str, str | None]:
    return command.status, command.code


def test_a_refusal_that_is_not_believed_is_confirmed_by_the_state(machine: Machine, told: Any) -> None:
    machine.says["POST /go"] = lambda: machine.obey(FAULT)
    command = told()
    assert result(command) == ("confirmed", None)
    assert "'link fault'" in command.detail and "shows that it obeys" in command.detail and command.sent_at


def test_a_refusal_that_was_meant_is_rejected_in_the_robots_words(machine: Machine, told: Any) -> None:
    machine.says["POST /go"] = FAULT
    command = told()
    assert result(command) == ("rejected", "rejected")
    assert command.detail == "link fault Its state did not follow either."


def test_a_refusal_in_doubt_of_a_robot_that_cannot_be_read_has_an_unknown_outcome(machine: Machine, told: Any) -> None:
    def falls_silent() -> bytes:
        machine.says["GET /state?all=1"] = http(b"no", "401 No")
        return FAULT

    machine.says["POST /go"] = falls_silent
    assert told().status == "outcome_unknown"


def test_a_conflict_is_a_refusal_whatever_the_state_shows(machine: Machine, told: Any) -> None:
    machine.says["POST /go"] = lambda: machine.obey(said({"error": "busy with j-17"}, "409 Conflict"))
    command = told()
    assert (*result(command), command.detail) == ("rejected", "not_now", "busy with j-17")
    assert machine.robot.requests[-1].startswith(b"POST /go")  # it was not even asked


@pytest.mark.parametrize(("for_s", "expected"), [(0.2, ("failed", "not_obeyed")), (60, ("confirmed", None))])
def test_what_is_shown_only_for_a_moment_is_not_obeyed(for_s: float, expected: Any, machine: Any, told: Any) -> None:
    machine.says |= {"GET /state?all=1": lambda: machine.state(for_s), "POST /go": lambda: machine.obey(said({}))}
    command = told(BELIEVED + "holds_s = 0.5\n")
    assert result(command) == expected
    assert command.ended_at - command.answered_at >= timedelta(seconds=0.45)


def stage(stage: str, why: str | None = None) -> bytes:
    return said({"stage": stage, "why": why})


NAMED = said({"job": "j-1"}, "202 Accepted")
WITHOUT = "confirm_within_s = 0.6\n" + JOB


@pytest.mark.parametrize(("end", "verb"), [("done", "command.done"), ("failed", "command.job_failed")])
def test_a_job_that_is_worked_at_confirms_its_command_and_is_followed_to_its_end(
    end: str, verb: str, machine: Machine, told: Any
) -> None:
    machine.says |= {"POST /go": NAMED, "GET /jobs/j-1": stage("running")}
    command = told(WITHOUT)
    assert (*result(command), command.done_at) == ("confirmed", None, None)
    machine.says["GET /jobs/j-1"] = stage(end, "wheel slipped")
    entry = until(lambda: JournalEntry.objects.filter(verb__startswith="command.").order_by("pk")[3:].first())
    why = "wheel slipped" if end == "failed" else None
    assert (entry.verb, entry.data["job"], entry.data.get("why")) == (verb, "j-1", why)
    assert (Command.objects.get(pk=command.pk).done_at is not None) is (end == "done")


ODD_JOBS = {
    "failed": (NAMED, stage("failed", "held"), "failed", "job_failed", "The robot's job j-1 failed. held"),
    "unnamed": (said({"ok": 1}), b"", "outcome_unknown", "bad_reply", "names no job"),
    "not begun": (NAMED, stage("queued"), "outcome_unknown", "job_waiting", "not begun within 0.6 s"),
    "forgotten": (NAMED, http(b"no such job", "404 No", "text/plain"), "outcome_unknown", "unreadable", "no such job"),
    "in doubt": (FAULT, stage("running"), "outcome_unknown", "rejected", "link fault"),
    "gateway": (http(b"", "502 Bad"), stage("running"), "outcome_unknown", "unreachable", "A gateway"),
    "garbage": (http(b"garbage"), stage("running"), "outcome_unknown", "bad_reply", "not JSON"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "job", "status", "code", "words"), ODD_JOBS.values(), ids=ODD_JOBS)
def test_a_job_that_nobody_is_seen_to_work_at_confirms_nothing(
    answer: bytes, job: bytes, status: str, code: str, words: str, machine: Machine, told: Any
) -> None:
    machine.says |= {"POST /go": answer, "GET /jobs/j-1": job}
    command = told(WITHOUT)
    assert result(command) == (status, code)
    assert words in command.detail


def test_a_job_and_a_state_must_both_show_it(machine: Machine, told: Any) -> None:
    machine.says |= {"POST /go": NAMED, "GET /jobs/j-1": stage("running")}
    assert result(told(BELIEVED + JOB)) == ("failed", "not_obeyed")
