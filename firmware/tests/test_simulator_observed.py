"""The fragile firmware of today: what kills it, what blocks it, where it lies."""

import json
import socket
import time
from collections.abc import Iterator

import pytest

from firmware.simulator import TOKENS, Settings, Simulator
from firmware.tests.simulator_tools import connect, eventually, get, post, raw, read_all, refused, send

STATE = "/api/v1/system/state"
EMERGENCY = "/api/v1/state/emergency"


@pytest.fixture
def robot() -> Iterator[Simulator]:
    with Simulator(dialect="observed") as simulator:
        yield simulator


def state(robot: Simulator) -> str:
    return str(get(robot, STATE)[1]["data"]["current_state"])


def test_a_client_that_closes_before_its_reply_kills_it(robot: Simulator) -> None:
    robot.fault("slow", 0.2)
    with connect(robot) as sock:
        sock.sendall(raw("GET", "/health"))
        time.sleep(0.05)
    assert eventually(lambda: robot.died)
    assert refused(robot)


def test_a_client_that_gives_up_in_the_queue_kills_it_when_its_turn_comes(robot: Simulator) -> None:
    robot.fault("slow", 0.3, count=1)
    with connect(robot) as patient:
        patient.sendall(raw("GET", "/health"))
        time.sleep(0.05)
        with connect(robot) as queued:
            queued.sendall(raw("GET", STATE))
        assert not robot.died
        assert b"200 OK" in read_all(patient)
    assert eventually(lambda: robot.died)


def test_a_restart_brings_a_killed_one_back_to_idle(robot: Simulator) -> None:
    post(robot, EMERGENCY)
    with connect(robot) as sock:
        robot.fault("slow", 0.1, count=1)
        sock.sendall(raw("GET", "/health"))
    assert eventually(lambda: robot.died)
    robot.restart()
    data = get(robot, STATE)[1]["data"]
    assert (data["current_state"], data["total_transitions"]) == ("IDLE", 2)


def test_a_killed_one_that_is_restarted_takes_its_time_to_boot() -> None:
    with Simulator(settings=Settings(dialect="observed", boot_s=0.2)) as robot:
        robot.fault("slow", 0.1, count=1)
        with connect(robot) as sock:
            sock.sendall(raw("GET", "/health"))
        assert eventually(lambda: robot.died)
        robot.restart()
        assert refused(robot)
        assert eventually(lambda: not refused(robot))


def test_a_half_close_that_still_reads_is_safe(robot: Simulator) -> None:
    with connect(robot) as sock:
        sock.sendall(raw("GET", "/health"))
        sock.shutdown(socket.SHUT_WR)
        assert b'"healthy"' in read_all(sock)
    assert not robot.died


def test_connecting_and_closing_is_safe(robot: Simulator) -> None:
    for _ in range(20):
        connect(robot).close()
    assert get(robot, "/health")[0] == 200
    assert not robot.died


def test_closing_after_part_of_the_reply_is_safe(robot: Simulator) -> None:
    for _ in range(20):
        with connect(robot) as sock:
            sock.sendall(raw("GET", "/api/v1/modules/2/data"))
            time.sleep(0.005)
            assert sock.recv(10) == b"HTTP/1.1 2"
    assert get(robot, "/health")[0] == 200
    assert not robot.died


def test_an_oversize_reply_may_be_left_half_read(robot: Simulator) -> None:
    robot.fault("oversize", count=1)
    with connect(robot) as sock:
        sock.sendall(raw("GET", "/health"))
        time.sleep(0.1)
        sock.recv(100)
    assert get(robot, "/health")[0] == 200
    assert not robot.died


def test_a_body_in_a_second_segment_is_lost(robot: Simulator) -> None:
    whole = raw("POST", "/api/v1/modules/2/config", b'{"a":1}')
    for _ in range(20):
        with connect(robot) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(whole[:-7])
            sock.sendall(whole[-7:])
            assert sock.recv(12) == b"HTTP/1.1 400"
    assert send(robot, whole)[0].startswith("HTTP/1.1 200")
    assert robot.truth()["bodies_received"] == 1


def test_what_exceeds_one_recv_is_lost(robot: Simulator) -> None:
    request = raw("POST", "/api/v1/config/state-machine", b" " * 3000 + b'{"a":1}', TOKENS["admin"])
    with connect(robot) as sock:
        sock.sendall(request)
        assert sock.recv(12) == b"HTTP/1.1 200"
    assert len(robot.truth()["log"][0]["body"]) < 2047


def test_one_idle_connection_blocks_everybody(robot: Simulator) -> None:
    with connect(robot):
        time.sleep(0.05)
        with connect(robot) as second:
            second.sendall(raw("GET", "/health"))
            second.settimeout(0.3)
            with pytest.raises(TimeoutError):
                second.recv(1)
            waiting = second.dup()
    with waiting:
        waiting.settimeout(5)
        assert b"200 OK" in read_all(waiting)


def test_move_answers_200_and_stays_idle(robot: Simulator) -> None:
    assert post(robot, "/api/v1/state/move") == (200, {"success": True, "message": "Entered MOVE state"})
    assert state(robot) == "IDLE"
    started = post(robot, "/api/v1/motion/segment/start", {"target": 50}, token=None)
    assert started[0] == 200
    assert started[1]["segment_id"] == "seg_001"
    assert robot.truth()["target_m"] is None


def test_the_safety_estop_is_a_stub_and_emergency_is_not(robot: Simulator) -> None:
    assert post(robot, "/api/v1/safety/estop", token=None)[1]["message"] == "E-Stop trigger accepted"
    assert state(robot) == "IDLE"
    assert post(robot, EMERGENCY)[1]["estop_id"] == "estop_001"
    assert state(robot) == "ESTOP"


def test_the_constants_deny_the_emergency_stop(robot: Simulator) -> None:
    post(robot, EMERGENCY)
    assert get(robot, "/api/v1/safety/status")[1]["data"] == {"estop_active": False, "safety_ok": True}
    assert get(robot, "/api/v1/robot/status")[1]["data"]["safety"]["estop"] is False
    assert get(robot, "/api/v1/motion/state")[1]["data"]["safety"]["estop"] is False
    health = get(robot, "/health")[1]
    assert (health["status"], health["data"]["system_state"]) == ("healthy", "ESTOP")
    assert get(robot, "/api/v1/state/statistics")[1]["data"]["transition_counters"]["emergency_count"] == 1


def test_stop_and_move_are_refused_in_estop_and_reset_leaves_it(robot: Simulator) -> None:
    assert post(robot, "/api/v1/state/reset")[0] == 400
    assert post(robot, "/api/v1/state/stop")[0] == 200
    post(robot, EMERGENCY)
    assert post(robot, "/api/v1/state/move")[1]["message"] == "Cannot move from current state: ESTOP"
    assert post(robot, "/api/v1/state/stop")[0] == 400
    assert post(robot, "/api/v1/state/reset")[0] == 200
    assert state(robot) == "IDLE"


@pytest.mark.parametrize("role", sorted(TOKENS))
def test_any_of_the_three_tokens_passes(robot: Simulator, role: str) -> None:
    assert post(robot, EMERGENCY, token=TOKENS[role])[0] == 200


@pytest.mark.parametrize("token", [None, "wrong"])
def test_the_401_body_is_no_json(robot: Simulator, token: str | None) -> None:
    head, body = send(robot, raw("POST", EMERGENCY, token=token))
    assert head.startswith("HTTP/1.1 401 OK")
    with pytest.raises(ValueError, match="delimiter"):
        json.loads(body)
    assert state(robot) == "IDLE"


def test_a_token_behind_sixteen_headers_is_dropped_in_silence(robot: Simulator) -> None:
    many = "".join(f"X-{number}: 1\r\n" for number in range(16))
    assert send(robot, raw("POST", EMERGENCY, token=TOKENS["admin"], extra=many))[0].startswith("HTTP/1.1 401")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/health/", 404),
        ("POST", "/health", 404),
        ("PUT", "/health", 400),
        ("HEAD", "/health", 400),
        ("GET", "/health?x=1", 200),
        ("GET", "/health?" + "x" * 500, 200),
        ("GET", "/api/v1/modules/2/telemetry?x=1", 404),
        ("GET", "/api/v1/modules/2/history?limit=10", 404),
        ("GET", "/api/v1/network/status?x=1", 404),
        ("GET", "/api/v1/modules/6/telemetry", 500),
        ("GET", "/api/v1/modules/0/telemetry", 400),
        ("GET", "/api/v1/modules/256/telemetry", 400),
        ("GET", "/api/v1/modules/6/data", 404),
        ("GET", "/api/v1/robot/command", 404),
        ("GET", "/api/v1/lidar/scan_data", 500),
        ("GET", "/api/v1/lidar/health", 200),
    ],
)
def test_http_oddities(robot: Simulator, method: str, path: str, status: int) -> None:
    head, _ = send(robot, raw(method, path))
    lines = head.split("\r\n")
    assert lines[0] == f"HTTP/1.1 {status} OK"
    assert {"Connection: close", "Content-Type: application/json"} <= set(lines)


def test_bodies_are_searched_and_never_parsed(robot: Simulator) -> None:
    command = "/api/v1/modules/2/command"
    assert send(robot, raw("POST", command, b'{"command":"reset"}'))[0].startswith("HTTP/1.1 200")
    assert send(robot, raw("POST", command, b'{"command": "reset"}'))[0].startswith("HTTP/1.1 400")
    broken = raw("POST", "/api/v1/config/state-machine", b"{broken", TOKENS["admin"])
    assert send(robot, broken)[0].startswith("HTTP/1.1 200")


def test_register_maps_have_their_sizes_and_no_values(robot: Simulator) -> None:
    for module, count in {2: 58, 3: 30, 4: 25, 5: 40}.items():
        data = get(robot, f"/api/v1/modules/{module}/data")[1]["data"]
        assert data["register_count"] == count == len({reg["address"] for reg in data["registers"]})
        assert data["registers"][0]["value"] is None


def test_register_writes_are_refused_in_the_order_of_the_firmware(robot: Simulator) -> None:
    registers = "/api/v1/modules/2/registers"
    assert send(robot, raw("POST", f"{registers}/0x0049", b'{"value":1}'))[0].startswith("HTTP/1.1 401")
    assert post(robot, f"{registers}/0x0049", {})[1]["message"] == "Missing 'value' field in request"
    assert post(robot, f"{registers}/0x9999", {"value": 1})[0] == 404
    assert post(robot, f"{registers}/0x0000", {"value": 1})[1]["message"] == "Register 0x0000 is read-only"
    assert post(robot, f"{registers}/0x0049", {"value": 7})[1]["message"] == "Value out of range"
    assert post(robot, f"{registers}/0x0049", {"value": 1})[1]["message"] == "Write failed"


def test_a_register_write_blocks_an_emergency_stop_behind_it() -> None:
    settings = Settings(dialect="observed", modules=True, register_write_s=(0.5, 0.5))
    with Simulator(settings=settings) as robot, connect(robot) as writer:
        writer.sendall(raw("POST", "/api/v1/modules/2/registers/0x0049", b'{"value":1}', TOKENS["admin"]))
        time.sleep(0.1)
        began = time.monotonic()
        assert post(robot, EMERGENCY)[0] == 200
        assert time.monotonic() - began > 0.3
        assert b"Write successful" in read_all(writer)


def test_a_hardware_stop_shows_late_and_a_reset_does_not_hold(robot: Simulator) -> None:
    robot.press_estop()
    assert state(robot) == "IDLE"
    assert eventually(lambda: state(robot) == "ESTOP")
    robot.release_estop()
    assert post(robot, "/api/v1/state/reset")[0] == 200
    assert eventually(lambda: state(robot) == "ESTOP")
    robot.restart()
    assert eventually(lambda: state(robot) == "IDLE")


def test_discovery_depends_on_the_bus() -> None:
    for modules, count in ((False, 0), (True, 4)):
        with Simulator(settings=Settings(dialect="observed", modules=modules)) as robot:
            assert get(robot, "/api/v1/rs485/modules")[1]["data"]["total_modules"] == count
            assert len(get(robot, "/api/v1/modules")[1]["modules"]) == 4
