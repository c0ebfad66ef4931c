"""The firmware as the vendor describes it: it moves, stops, checks and charges."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from firmware.simulator import TOKENS, Simulator
from firmware.tests.simulator_tools import connect, eventually, get, post, raw, send

START = "/api/v1/motion/segment/start"
EMERGENCY = "/api/v1/state/emergency"


@pytest.fixture
def robot() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


def motion(robot: Simulator) -> dict[str, Any]:
    data: dict[str, Any] = get(robot, "/api/v1/motion/state")[1]["data"]
    return data


def start(
    robot: Simulator, target: float, velocity: float = 2.0, acceleration: float = 1.0
) -> tuple[int, dict[str, Any]]:
    return post(robot, START, {"target": target, "velocity": velocity, "acceleration": acceleration})


def test_it_drives_within_its_limits_and_arrives_exactly(robot: Simulator) -> None:
    assert start(robot, 11.0, velocity=0.8)[1]["segment_id"] == 1
    speeds = []
    while motion(robot)["state"] == "MOVE":
        speeds.append(motion(robot)["velocity"])
        time.sleep(0.02)
    assert 0.7 < max(speeds) <= 0.8
    assert motion(robot) == {"state": "IDLE", "position": 11.0, "velocity": 0.0, "target": 11.0}


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"target": 100.1, "velocity": 1.0}, "rail"),
        ({"target": -1, "velocity": 1.0}, "rail"),
        ({"target": 50, "velocity": 0}, "Velocity"),
        ({"target": 50, "velocity": 2.1}, "Velocity"),
        ({"target": 50, "velocity": 1, "acceleration": 0}, "Acceleration"),
        ({"target": "50", "velocity": 1}, "'target'"),
        ({"target": True, "velocity": 1}, "'target'"),
        ({"target": float("nan"), "velocity": 1}, "'target'"),
        ({"velocity": 1}, "'target' is required"),
        ([], "object"),
    ],
)
def test_a_segment_that_makes_no_sense_is_refused(robot: Simulator, body: object, word: str) -> None:
    status, reply = post(robot, START, body)
    assert (status, reply["success"]) == (400, False)
    assert word in reply["error"]
    assert robot.truth()["state"] == "IDLE"


def test_a_second_segment_is_refused_while_moving_or_braking(robot: Simulator) -> None:
    start(robot, 50.0)
    assert "MOVE" in start(robot, 20.0)[1]["error"]
    time.sleep(0.3)
    assert post(robot, "/api/v1/state/stop")[1]["new_state"] == "IDLE"
    assert "braking" in start(robot, 20.0)[1]["error"]
    assert eventually(lambda: motion(robot)["velocity"] == 0)
    assert start(robot, 20.0)[0] == 200


@pytest.mark.parametrize("path", [EMERGENCY, "/api/v1/safety/estop"])
def test_an_emergency_stop_is_estop_at_once_and_brakes_hard(robot: Simulator, path: str) -> None:
    start(robot, 50.0)
    time.sleep(0.6)
    assert post(robot, path)[1]["message"] == "Emergency stop activated"
    assert motion(robot)["state"] == "ESTOP"
    assert get(robot, "/api/v1/safety/status")[1]["data"]["estop_active"] is True
    assert eventually(lambda: motion(robot)["velocity"] == 0, 0.5)
    assert start(robot, 20.0)[0] == 400
    assert post(robot, "/api/v1/state/reset")[1]["new_state"] == "IDLE"
    assert robot.truth()["moving"] is False


def test_reset_needs_the_button_released(robot: Simulator) -> None:
    robot.press_estop()
    assert eventually(lambda: motion(robot)["state"] == "ESTOP")
    assert "button" in post(robot, "/api/v1/state/reset")[1]["error"]
    robot.release_estop()
    assert post(robot, "/api/v1/state/reset")[0] == 200
    assert motion(robot)["state"] == "IDLE"


def test_posts_need_the_admin_token(robot: Simulator) -> None:
    assert post(robot, EMERGENCY, token=None)[0] == 401
    assert post(robot, EMERGENCY, token="wrong")[0] == 401
    assert post(robot, EMERGENCY, token=TOKENS["operator"])[0] == 403
    assert post(robot, "/api/v1/modules/2/command", {"command": "reset"}, token=TOKENS["readonly"])[0] == 403
    assert motion(robot)["state"] == "IDLE"


def test_malformed_json_is_refused(robot: Simulator) -> None:
    head, body = send(robot, raw("POST", START, b"{broken", TOKENS["admin"]))
    assert head.startswith("HTTP/1.1 400 Bad Request")
    assert b"Invalid JSON" in body


def test_a_body_in_pieces_arrives_whole(robot: Simulator) -> None:
    whole = raw("POST", START, b'{"target":11.0,"velocity":1.0}', TOKENS["admin"])
    with connect(robot) as sock:
        for piece in (whole[:40], whole[40:-10], whole[-10:]):
            sock.sendall(piece)
            time.sleep(0.02)
        assert sock.recv(15) == b"HTTP/1.1 200 OK"


def test_it_survives_clients_that_leave(robot: Simulator) -> None:
    robot.fault("slow", 0.05)
    for _ in range(5):
        with connect(robot) as sock:
            sock.sendall(raw("GET", "/health"))
    time.sleep(0.15)
    assert get(robot, "/health")[0] == 200
    assert not robot.died


def test_a_slow_request_does_not_hold_up_others(robot: Simulator) -> None:
    robot.fault("hang", path="/api/v1/motion")
    with connect(robot) as held:
        held.sendall(raw("GET", "/api/v1/motion/state"))
        assert get(robot, "/health")[0] == 200


def test_the_battery_drains_on_the_way_and_charges_at_the_dock(robot: Simulator) -> None:
    def charge() -> float:
        return float(get(robot, "/api/v1/modules/2/telemetry")[1]["data"]["battery_soc"])

    robot.set_battery(50)
    start(robot, 11.0)
    time.sleep(0.8)
    assert charge() < 49.995
    robot.place(0.0)
    low = charge()
    time.sleep(0.3)
    assert charge() > low


def test_registers_have_values_and_keep_what_is_written(robot: Simulator) -> None:
    relay = "/api/v1/modules/2/registers/0x0049"
    assert post(robot, relay, {"value": 0})[1]["message"] == "Register written successfully"
    registers = get(robot, "/api/v1/modules/2/data")[1]["data"]["registers"]
    assert next(reg["value"] for reg in registers if reg["address"] == "0x0049") == 0
    assert post(robot, relay, {"value": 2})[0] == 400
    assert post(robot, relay, {"value": "1"})[0] == 400
    assert post(robot, "/api/v1/modules/2/registers/0x0000", {"value": 1})[0] == 400
    assert post(robot, "/api/v1/modules/2/registers/0x7777", {"value": 1})[0] == 404


def test_the_lidar_sees_a_room(robot: Simulator) -> None:
    frame = get(robot, "/api/v1/lidar/scan_frame_360")[1]["data"]["distances"]
    assert len(frame) == 360
    assert min(frame) > 500
    assert max(frame) > 5000
    robot.place(0.0)
    assert get(robot, "/api/v1/lidar/scan_frame_360")[1]["data"]["distances"] != frame


@pytest.mark.parametrize(
    "path",
    [
        "/health", "/api/v1/system/status", "/api/v1/system/state", "/api/v1/robot/status", "/api/v1/safety/status",
        "/api/v1/state/statistics", "/api/v1/control/status", "/api/v1/motion/state", "/api/v1/rs485/modules",
        "/api/v1/modules", "/api/v1/modules/stats", "/api/v1/modules/4/telemetry", "/api/v1/modules/3/health",
        "/api/v1/modules/5/config", "/api/v1/modules/2/history?limit=3", "/api/v1/config/state-machine",
        "/api/v1/lidar/status", "/api/v1/lidar/scan_data", "/api/v1/lidar/safety_status", "/api/v1/lidar/config",
        "/api/v1/network/status", "/api/v1/network/wifi/scan",
    ],
)  # fmt: skip
def test_every_read_answers_without_a_token(robot: Simulator, path: str) -> None:
    status, reply = get(robot, path)
    assert status == 200
    assert reply["success"] is True
    assert reply["timestamp"].endswith("Z")
