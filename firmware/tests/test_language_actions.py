"""How a robot is told something in its own language, and what is believed of what it then says and shows."""

import base64
import time
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from firmware.client import RobotClient
from firmware.errors import FirmwareError
from firmware.tests.conftest import http
from firmware.tests.machines.obeying import (
    BELIEVED,
    FAULT,
    SECRET,
    Machine,
    Scripted,
    client,
    result,
    said,
    sent,
    text,
)
from firmware.tests.machines.obeying import machine as machine
from firmware.tests.machines.obeying import told as told


def go(one: RobotClient, **params: Any) -> Any:
    return one.command("go", params, send_by=time.monotonic() + 5)


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


GCODE = """encode = "text"
body = "G1 X$to ;$note"
params.to = { scale = 1000 }
params.note = { type = "text", default = "-" }
observable = false
"""


def test_a_parameter_is_written_into_a_text(scripted: Scripted) -> None:
    robot = scripted(said({"st": "IDLE"}))
    one = client(robot.url, text(GCODE))
    go(one, to=0.0000005, note="a & b")
    _, headers, body = sent(robot.requests[-1])
    assert headers["Content-Type"].startswith("text/plain")
    assert body == b"G1 X0.0005 ;a & b"
    with pytest.raises(FirmwareError, match="note holds a line break"):
        go(one, to=1.0, note="x\nM112")
    assert len(robot.requests) == 1, "nothing of it was sent"


def test_a_form_is_written_as_one(scripted: Scripted) -> None:
    robot = scripted(said({}))
    form = PARAMS.format(encode="form", believed=BELIEVED).replace(', list = ["$to"]', "")
    go(client(robot.url, text(form)), to=0.5, way="up", on=True, note="a & b")
    _, headers, body = sent(robot.requests[0])
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert body == b"mm=500&way=1&on=true&note=a+%26+b&fixed=2"
    assert headers["Content-Length"] == str(len(body))


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


def test_a_text_that_refuses_although_its_status_says_yes_is_a_refusal(machine: Machine, told: Any) -> None:
    machine.says["POST /go"] = http(b"ERR 12 axis not homed", kind="text/plain")
    command = told(BELIEVED, replies='refused_text = "^ERR"')
    assert (*result(command), command.detail) == ("rejected", "rejected", "ERR 12 axis not homed")
