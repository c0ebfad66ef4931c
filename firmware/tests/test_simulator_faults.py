"""Every fault, over a real connection."""

import json
import socket
import time
from collections.abc import Iterator

import pytest

from firmware.simulator import TOKENS, Settings, Simulator
from firmware.simulator.faults import FAULTS
from firmware.tests.simulator_tools import connect, eventually, get, post, raw, read_all, refused, send

EMERGENCY = "/api/v1/state/emergency"
MOTION = "/api/v1/motion/state"


@pytest.fixture(params=["documented", "observed"])
def robot(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    with Simulator(dialect=request.param) as simulator:
        yield simulator


def silent(sock: socket.socket, for_s: float = 0.15) -> bool:
    sock.settimeout(for_s)
    try:
        sock.recv(1)
    except TimeoutError:
        sock.settimeout(5)
        return True
    return False


def test_refuse_and_accept_again(robot: Simulator) -> None:
    robot.fault("refuse")
    assert refused(robot)
    robot.clear()
    assert get(robot, "/health")[0] == 200


def test_hang_replies_once_cleared(robot: Simulator) -> None:
    robot.fault("hang")
    with connect(robot) as sock:
        sock.sendall(raw("POST", EMERGENCY, token=TOKENS["admin"]))
        assert silent(sock)
        assert robot.truth()["estop_count"] == 0
        robot.clear()
        assert b"200 OK" in read_all(sock)
    assert robot.truth()["state"] == "ESTOP"


def test_no_reply_once_is_carried_out_unanswered(robot: Simulator) -> None:
    robot.fault("no_reply_once", path="/api/v1/state")
    with connect(robot) as sock:
        sock.sendall(raw("POST", EMERGENCY, token=TOKENS["admin"]))
        assert silent(sock)
        assert robot.truth()["state"] == "ESTOP"
        assert robot.truth()["log"][-1]["status"] is None
        robot.clear("no_reply_once")
        assert b"200 OK" in read_all(sock)


def test_slow(robot: Simulator) -> None:
    robot.fault("slow", 0.2)
    began = time.monotonic()
    assert get(robot, "/health")[0] == 200
    assert time.monotonic() - began >= 0.2


def test_error_and_deny(robot: Simulator) -> None:
    robot.fault("error", 503)
    assert get(robot, "/health")[0] == 503
    robot.clear()
    robot.fault("deny")
    assert send(robot, raw("GET", "/health"))[0].startswith("HTTP/1.1 401")


def test_garbage_and_html(robot: Simulator) -> None:
    robot.fault("garbage")
    head, body = send(robot, raw("GET", "/health"))
    assert "application/json" in head
    with pytest.raises(ValueError, match=r"codec|JSON|Expecting"):
        json.loads(body)
    robot.clear()
    robot.fault("html")
    head, body = send(robot, raw("GET", "/health"))
    assert "text/html" in head
    assert body.startswith(b"<!DOCTYPE html>")


def test_oversize_is_valid_json_of_five_megabytes(robot: Simulator) -> None:
    robot.fault("oversize")
    body = send(robot, raw("GET", "/health"))[1]
    assert len(body) > 5_000_000
    assert json.loads(body)["success"] is True


def test_cut_promises_more_than_it_sends(robot: Simulator) -> None:
    robot.fault("cut")
    head, body = send(robot, raw("GET", "/health"))
    promised = next(int(line.split()[1]) for line in head.split("\r\n") if line.startswith("Content-Length"))
    assert 0 < len(body) < promised


def test_drip_sends_byte_by_byte(robot: Simulator) -> None:
    robot.fault("drip", 0.01)
    with connect(robot) as sock:
        sock.sendall(raw("GET", "/health"))
        time.sleep(0.05)
        assert 1 <= len(sock.recv(1000)) < 50
    robot.clear()
    assert not robot.died


def test_frozen_stops_values_and_times(robot: Simulator) -> None:
    robot.fault("frozen")
    before = send(robot, raw("GET", "/api/v1/system/state"))
    post(robot, EMERGENCY)
    time.sleep(0.05)
    assert send(robot, raw("GET", "/api/v1/system/state")) == before
    assert robot.truth()["state"] == "ESTOP"
    robot.clear()
    assert get(robot, "/api/v1/system/state")[1]["data"]["current_state"] == "ESTOP"


def test_disobey_says_yes_and_does_nothing(robot: Simulator) -> None:
    robot.fault("disobey")
    assert post(robot, EMERGENCY)[0] == 200
    assert robot.truth()["estop_count"] == 0
    assert get(robot, "/api/v1/system/state")[1]["data"]["current_state"] == "IDLE"


def test_late_estop_answers_first_and_stops_later(robot: Simulator) -> None:
    robot.fault("late_estop", 0.3)
    assert post(robot, EMERGENCY)[0] == 200
    assert robot.truth()["state"] == "IDLE"
    assert eventually(lambda: robot.truth()["state"] == "ESTOP")


def test_reset_by_peer(robot: Simulator) -> None:
    robot.fault("reset_by_peer", count=1)
    with connect(robot) as sock:
        sock.sendall(raw("GET", "/health"))
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    assert get(robot, "/health")[0] == 200


def test_a_restart_breaks_what_hangs_refuses_and_forgets() -> None:
    with Simulator(settings=Settings(boot_s=0.3)) as robot:
        post(robot, EMERGENCY)
        robot.fault("hang", path="/health")
        with connect(robot) as sock:
            sock.sendall(raw("GET", "/health"))
            assert silent(sock)
            robot.fault("restart")
            assert read_all(sock) == b""
        assert refused(robot)
        assert eventually(lambda: not refused(robot))
        data = get(robot, "/api/v1/system/state")[1]["data"]
        assert (data["current_state"], data["transitions"]) == ("IDLE", 2)


def test_a_scope_and_a_count_limit_a_fault(robot: Simulator) -> None:
    robot.fault("error", path="/api/v1/motion", count=2)
    assert get(robot, "/health")[0] == 200
    assert [get(robot, MOTION)[0] for _ in range(3)] == [500, 500, 200]


def test_unknown_faults_and_senseless_values_are_refused(robot: Simulator) -> None:
    for name, value in (("nonsense", None), ("slow", -1.0), ("error", 200.0)):
        with pytest.raises(ValueError, match=name):
            robot.fault(name, value)
    assert len(FAULTS) == 16


def test_stopping_does_not_wait_for_anybody(robot: Simulator) -> None:
    robot.fault("hang")
    with connect(robot) as sock, connect(robot):
        sock.sendall(raw("GET", "/health"))
        assert silent(sock)
        began = time.monotonic()
        robot.stop()
        assert time.monotonic() - began < 1
