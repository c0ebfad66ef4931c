"""The wire, over real TCP: what may leave, what may come, and what is believed of it."""

import gc
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from firmware import slots
from firmware.client import RobotClient
from firmware.drainer import drainer
from firmware.errors import BadReply, FirmwareError, NoReply, Rejected, Unreachable
from firmware.simulator import Simulator
from firmware.tests.conftest import MakeClient, ScriptedRobot, http
from firmware.tests.simulator_tools import eventually

Scripted = Callable[..., ScriptedRobot]
STATE = b'{"success":true,"data":{"current_state":"IDLE","total_transitions":2}}'
MOVE = {"target_m": 20.0, "speed_mps": 0.5, "acceleration_mps2": 0.5}


def move(client: RobotClient) -> Any:
    return client.command("move", MOVE, send_by=time.monotonic() + 60)


def error_of(work: Callable[[], object]) -> FirmwareError:
    with pytest.raises(FirmwareError) as caught:
        work()
    return caught.value


# --- what leaves ------------------------------------------------------------------------------------------------------
def test_headers_and_body_arrive_in_one_segment_two_hundred_times_of_two_hundred(
    observed: Simulator, client_for: MakeClient
) -> None:
    client = client_for(observed.url)
    for _ in range(200):
        assert move(client).status == 200
    assert observed.truth()["bodies_received"] == 200
    assert not observed.died


def test_a_request_carries_one_of_each_header_and_no_stranger(scripted: Scripted, client_for: MakeClient) -> None:
    robot = scripted(http(STATE))
    move(client_for(robot.url, {"admin": "t0ken"}))
    head, _, body = robot.requests[0].partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
    ours = b"host user-agent accept accept-encoding connection authorization content-type content-length"
    assert sorted(names) == sorted(ours.split())
    assert b"Authorization: Bearer t0ken" in head
    assert body == b'{"target":20.0,"velocity":0.5,"acceleration":0.5}'


def test_a_request_longer_than_the_robot_reads_is_not_sent(scripted: Scripted, client_for: MakeClient) -> None:
    robot = scripted(http(STATE))
    client = client_for(robot.url, {"admin": "t" * 300}, max_request_bytes=256)
    error = error_of(lambda: move(client))
    assert not error.may_have_acted
    assert robot.requests == []


def test_the_size_that_is_checked_is_never_below_the_size_that_leaves(
    scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(http(STATE))
    client = client_for(robot.url)
    move(client)
    client.stop()
    client.read("state")
    sizes = [client._signer.action(client.profile.commands["move"], MOVE).size, client._stop.size]
    for request, size in zip(robot.requests, [*sizes, client._reads["state"].size], strict=True):
        assert len(request) <= size <= len(request) + 40


def test_proxies_from_the_environment_are_ignored(
    scripted: Scripted, client_for: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, robot = scripted(http(b"{}")), scripted(http(STATE))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.setenv("NO_PROXY", "")
    assert client_for(robot.url).read("state").values["machine_state"] == "idle"
    assert proxy.requests == []


def test_a_redirect_is_not_followed(scripted: Scripted, client_for: MakeClient) -> None:
    elsewhere = scripted(http(STATE))
    robot = scripted(http(b"", "302 Found", "text/html", f"Location: {elsewhere.url}/"))
    client = client_for(robot.url)
    for work in (lambda: client.read("state"), lambda: move(client)):
        assert isinstance(error_of(work), BadReply)
    assert elsewhere.requests == []
    assert len(robot.requests) == 2


def test_a_cookie_is_not_sent_back(scripted: Scripted, client_for: MakeClient) -> None:
    robot = scripted(http(STATE, "200 OK", "application/json", "Set-Cookie: a=b; Path=/"))
    client = client_for(robot.url)
    client.read("state")
    client.read("state")
    assert b"ookie" not in robot.requests[1]


# --- what is tried again ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_read_is_tried_again_when_the_robot_says_not_now(
    status: int, scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(http(b"{}", f"{status} OK", "application/json", "Retry-After: 0"), http(STATE))
    assert client_for(robot.url).read("state").values["machine_state"] == "idle"
    assert len(robot.requests) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_read_waits_as_long_as_the_robot_asks_for(status: int, scripted: Scripted, client_for: MakeClient) -> None:
    robot = scripted(http(b"{}", f"{status} OK", "application/json", "Retry-After: 1"), http(STATE))
    began = time.monotonic()
    assert client_for(robot.url).read("state").values["machine_state"] == "idle"
    assert 1 <= time.monotonic() - began < 2.5 and len(robot.requests) == 2


@pytest.mark.parametrize("asked", ["3600", "9" * 400, "Fri, 31 Dec 2099 23:59:59 GMT"])
def test_nobody_waits_beyond_the_deadline_whatever_a_robot_asks_for(
    asked: str, scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(http(b"{}", "503 OK", "application/json", f"Retry-After: {asked}"), http(STATE))
    began = time.monotonic()
    error_of(lambda: client_for(robot.url).read("state"))
    assert time.monotonic() - began < 1 and len(robot.requests) == 1


def test_a_time_that_is_none_is_no_time(scripted: Scripted, client_for: MakeClient) -> None:
    robot = scripted(http(b"{}", "503 OK", "application/json", "Retry-After: soon"), http(STATE))
    assert client_for(robot.url).read("state").values["machine_state"] == "idle"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_command_is_not_tried_again_when_the_robot_says_not_now(
    status: int, scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(http(b"{}", f"{status} OK", "application/json", "Retry-After: 0"))
    assert isinstance(error_of(lambda: move(client_for(robot.url))), Rejected)
    assert len(robot.requests) == 1


@pytest.mark.parametrize("reply", ["hang", "reset", "close", b"garbage\r\n\r\n"], ids=str)
def test_a_read_that_left_is_not_sent_again(reply: Any, scripted: Scripted, client_for: MakeClient) -> None:
    robot = scripted(reply)
    error_of(lambda: client_for(robot.url, timeout_s=0.5).read("state"))
    assert len(robot.requests) == 1


def test_a_second_attempt_that_is_not_answered_is_drained_like_a_first(
    scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(http(b"{}", "503 OK"), "hang")
    client = client_for(robot.url, timeout_s=0.5)
    assert isinstance(error_of(lambda: client.read("state")), NoReply)
    time.sleep(0.3)
    assert drainer.count() == 1
    assert robot.closed_at == [], "closing it would have killed the robot"


def test_attempts_end_at_the_deadline(client_for: MakeClient, scripted: Scripted) -> None:
    robot = scripted(http(b"{}", "503 OK"))
    began = time.monotonic()
    assert error_of(lambda: client_for(robot.url, timeout_s=0.15).read("state")).status == 503
    assert time.monotonic() - began < 0.3


def test_a_refused_connection_is_tried_again_even_for_a_command(
    client_for: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    client = client_for(f"http://127.0.0.1:{port}")
    error = error_of(lambda: move(client))
    assert isinstance(error, Unreachable) and not error.may_have_acted and error.retryable
    assert str(error) == f"The robot cannot be reached: Connection refused (127.0.0.1:{port})."
    tried = []
    monkeypatch.setattr(slots.Exchange, "begin_attempt", lambda self: tried.append(1))
    error_of(lambda: move(client))
    assert len(tried) == 2 * 2  # each attempt begins anew before it connects and before it writes


def test_a_name_that_nobody_knows_is_unreachable(client_for: MakeClient) -> None:
    error = error_of(client_for("http://no-such-robot.invalid").stop)
    assert type(error) is Unreachable
    assert "no-such-robot.invalid" in str(error)


def test_a_robot_that_accepts_nobody_is_unreachable_in_time(client_for: MakeClient) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        client = client_for(f"http://127.0.0.1:{full.getsockname()[1]}", connect_timeout_s=0.2, timeout_s=0.6)
        began = time.monotonic()
        error = error_of(lambda: move(client))
        for sock in waiting:
            sock.close()
    assert type(error) is Unreachable and "in time" in str(error)
    assert time.monotonic() - began < 0.8


# --- connections that are kept ----------------------------------------------------------------------------------------
def test_where_the_profile_allows_it_a_connection_is_kept(scripted: Scripted, client_for: MakeClient) -> None:
    reply = http(STATE).replace(b"Connection: close\r\n", b"")
    robot = scripted(reply, close=False)
    client = client_for(robot.url, keep_alive=True)
    for _ in range(5):
        client.read("state")
    assert len(robot._threads) == 2, "the listener and one connection"
    client.close()


def test_a_robot_that_keeps_the_line_open_unasked_does_not_get_an_idle_connection(
    scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(http(STATE).replace(b"Connection: close\r\n", b""), close=False)
    client = client_for(robot.url)
    for count in (1, 2, 3):
        client.read("state")
        assert len(robot._threads) == 1 + count, "the listener and one connection for each request"
        assert eventually(lambda count=count: not robot._threads[count].is_alive())  # type: ignore[misc]


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_command_on_a_kept_connection_that_the_robot_just_closed_is_neither_sent_again_nor_called_unsent(
    end: str, scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(http(STATE).replace(b"Connection: close\r\n", b""), end, http(STATE), close=False)
    client = client_for(robot.url, keep_alive=True)
    client.read("state")
    error = error_of(lambda: move(client))
    assert type(error) is NoReply and error.may_have_acted
    assert len(robot.requests) == 2
    client.close()


def test_a_kept_connection_is_drained_when_its_second_request_is_not_answered(
    scripted: Scripted, client_for: MakeClient
) -> None:
    robot = scripted(http(STATE).replace(b"Connection: close\r\n", b""), "hang", close=False)
    client = client_for(robot.url, keep_alive=True, timeout_s=0.3)
    client.read("state")
    assert type(error_of(lambda: move(client))) is NoReply
    assert drainer.count() == 1
    client.close()
    gc.collect()
    time.sleep(0.2)
    assert robot.closed_at == []


# --- secrets ----------------------------------------------------------------------------------------------------------
def test_a_credential_is_in_no_error_and_no_log(
    scripted: Scripted, client_for: MakeClient, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "s3cr3t-t0ken"
    caplog.set_level(logging.DEBUG)
    echo = f'{{"message":"wrong token {secret}"}}'.encode()
    replies: list[Any] = [
        "reset",
        "hang",
        secret.encode() + b"\r\n\r\n",
        http(echo, "401 OK"),
        http(echo[1:], "401 OK"),
    ]
    for reply in replies:
        client = client_for(scripted(reply).url, {"admin": secret}, timeout_s=0.3)
        error: BaseException | None = error_of(lambda client=client: move(client))  # type: ignore[misc]
        while error is not None:
            assert secret not in str(error) + repr(error)
            error = error.__cause__
    out = capsys.readouterr()
    assert secret not in caplog.text + out.out + out.err
