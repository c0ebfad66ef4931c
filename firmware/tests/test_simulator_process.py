"""The simulator as a process: command line, control server, signals and death."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from firmware.simulator import Simulator
from firmware.simulator.control import Control
from firmware.tests.simulator_tools import connect, eventually, get, raw, refused

ROOT = Path(__file__).resolve().parents[2]
READY = re.compile(r"simulator oht-50 (\w+) listening on (http://127\.0\.0\.1:(\d+))\n")


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "firmware.simulator", "--boot-s", "0", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def ready_port(child: subprocess.Popen[str]) -> int:
    assert child.stdout is not None
    found = READY.fullmatch(child.stdout.readline())
    assert found
    return int(found[3])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@pytest.fixture
def robot() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def control(robot: Simulator) -> Iterator[Control]:
    server = Control([robot], 0)
    server.start()
    yield server
    server.stop()


def ask(control: Control, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(control.url + path, data=data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_ready_and_ends_quickly_with_0(number: int) -> None:
    with process("--port", "0") as child:
        assert ready_port(child) > 0
        began = time.monotonic()
        child.send_signal(number)
        assert child.wait(5) == 0
        assert time.monotonic() - began < 3


def test_a_port_in_use_is_one_line_and_exit_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with process("--port", str(port)) as child:
            assert child.wait(5) == 2
            assert child.stderr is not None
            lines = child.stderr.read().splitlines()
    assert len(lines) == 1
    assert str(port) in lines[0]


def test_several_robots_take_consecutive_ports_and_one_control_server() -> None:
    port, control_port = free_port(), free_port()
    with process("--port", "0", "--control-port", str(control_port), "--robots", "2") as child:
        assert ready_port(child) != ready_port(child)
        with urllib.request.urlopen(f"http://127.0.0.1:{control_port}/", timeout=5) as reply:
            assert [each["robot"] for each in json.loads(reply.read())["robots"]] == [0, 1]
    with process("--port", str(port)) as child:
        assert ready_port(child) == port


def test_an_early_disconnect_ends_the_observed_process_with_141() -> None:
    with process("--port", "0", "--dialect", "observed", "--fault", "slow=0.2@/health") as child:
        with socket.create_connection(("127.0.0.1", ready_port(child))) as sock:
            sock.sendall(raw("GET", "/health"))
            time.sleep(0.05)
        assert child.wait(5) == 141
        assert child.stderr is not None
        assert child.stderr.read().startswith("firmware killed: SIGPIPE")


@pytest.mark.parametrize("arguments", [["--fault", "nonsense"], ["--token", "king=1"], ["--port", "99999"]])
def test_a_wrong_flag_is_refused(arguments: list[str]) -> None:
    with process(*arguments) as child:
        assert child.wait(5) == 2


@pytest.mark.parametrize("dialect", ["documented", "observed"])
def test_an_idle_robot_uses_no_processor_time(dialect: str) -> None:
    with process("--port", "0", "--dialect", dialect) as child:
        ready_port(child)

        def ticks() -> int:
            fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        if not os.path.exists("/proc/self/stat"):
            pytest.skip("needs /proc")
        before = ticks()
        time.sleep(0.5)
        assert ticks() - before <= 1


def test_the_truth_counts_and_logs_what_arrived(robot: Simulator, control: Control) -> None:
    get(robot, "/health?x=1")
    truth = ask(control, "GET", "/")[1]["robots"][0]
    assert truth["requests"] == 1
    assert truth["by_path"] == {"GET /health": 1}
    entry = truth["log"][0]
    assert (entry["method"], entry["path"], entry["status"]) == ("GET", "/health?x=1", 200)
    assert abs(entry["at"] - time.time()) < 5
    assert (truth["port"], truth["state"], truth["position_m"]) == (robot.port, "IDLE", 10.0)


def test_control_answers_while_the_robot_hangs_or_refuses(robot: Simulator, control: Control) -> None:
    assert ask(control, "POST", "/fault", {"fault": "hang", "path": "/health"})[0] == 200
    with connect(robot) as sock:
        sock.sendall(raw("GET", "/health"))
        assert eventually(lambda: ask(control, "GET", "/")[1]["robots"][0]["requests"] == 1)
    assert "refuse" in ask(control, "POST", "/fault", {"fault": "refuse"})[1]["robots"][0]["faults"]
    assert refused(robot)
    assert ask(control, "DELETE", "/fault")[1]["robots"][0]["faults"] == {}
    assert not refused(robot)


def test_control_pulls_the_levers(robot: Simulator, control: Control) -> None:
    ask(control, "POST", "/battery", {"percent": 12.5})
    ask(control, "POST", "/place", {"position_m": 42})
    ask(control, "POST", "/press_estop", {})
    truth = robot.truth()
    assert truth["battery_percent"] == pytest.approx(12.5, abs=0.01)
    assert truth["position_m"] == 42
    assert truth["estop_pressed"] is True
    assert eventually(lambda: robot.truth()["state"] == "ESTOP")
    assert ask(control, "POST", "/release_estop")[1]["robots"][0]["estop_pressed"] is False


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/fault", {"fault": "nonsense"}, 400),
        ("/fault", {}, 400),
        ("/fault", {"fault": "slow", "value": "x"}, 400),
        ("/battery", {"percent": 101}, 400),
        ("/place", {"position_m": -1}, 400),
        ("/press_estop", {"robot": 7}, 400),
        ("/fault", [], 400),
        ("/nowhere", {}, 404),
    ],
)
def test_control_refuses_what_makes_no_sense(control: Control, path: str, body: object, status: int) -> None:
    answer = ask(control, "POST", path, body)
    assert answer[0] == status
    assert answer[1]["error"]
