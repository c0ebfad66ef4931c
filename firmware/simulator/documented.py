"""The dialect of the vendor's document (v3.1.0): what it promises happens."""

import math

from firmware.simulator import documented_modules, lidar, physics
from firmware.simulator.dialect import Dialect
from firmware.simulator.documented_modules import ok
from firmware.simulator.machine import State
from firmware.simulator.vehicle import RefusedError
from firmware.simulator.wire import Call, Handler, Json, Reply, Request, Route, Router, json_reply

API = "/api/v1"


def _error(call: Call, status: int, message: str) -> Reply:
    return json_reply({"success": False, "error": message, "timestamp": call.vehicle.clock.iso()}, status)


def _unauthorized(call: Call) -> Reply:
    return _error(call, 401, "Unauthorized: a valid Bearer token is required")


def _authorize(route: Route, call: Call) -> Reply | None:
    if route.method != "POST":
        return None
    tokens = call.vehicle.settings.tokens
    if call.request.token == tokens["admin"]:
        return None
    if call.request.token in tokens.values():
        return _error(call, 403, "Forbidden: this needs the ADMIN role")
    return _unauthorized(call)


def _accepts(request: Request, route: Route) -> bool:
    return True


# -- reading


def _health(call: Call) -> Reply:
    return ok(call, status="healthy", firmware="running")


def _system_status(call: Call) -> Reply:
    return ok(call, {"system": "OHT-50", "status": "ok"})


def _system_state(call: Call) -> Reply:
    machine = call.vehicle.machine
    data: Json = {
        "current_state": machine.state,
        "previous_state": machine.previous,
        "transitions": machine.transitions,
        "ready": machine.state is State.IDLE,
        "safe": machine.state not in (State.ESTOP, State.FAULT),
        "comm_ok": True,
    }
    return ok(call, data)


def _robot_status(call: Call) -> Reply:
    state = call.vehicle.state
    data: Json = {
        "robot_id": call.vehicle.settings.robot_id,
        "state": state,
        "modules_online": 4 - len(call.vehicle.unplugged),
        "comm_health": 100.0,
        "safety_ok": state is not State.ESTOP,
        "ready": state is State.IDLE,
    }
    return ok(call, data)


def _safety_status(call: Call) -> Reply:
    stopped = call.vehicle.state is State.ESTOP
    return ok(call, {"estop_active": stopped, "safety_ok": not stopped})


def _statistics(call: Call) -> Reply:
    machine, now = call.vehicle.machine, call.vehicle.clock.now()
    errors = machine.counts["EMERGENCY_STOP"] + machine.counts["FAULT_DETECTED"]
    data: Json = {
        "total_transitions": machine.transitions,
        "uptime_seconds": int(now - machine.booted_s),
        "error_count": errors,
    }
    return ok(call, data)


def _control_status(call: Call) -> Reply:
    return ok(call, {"control_enabled": True, "mode": "AUTO", "state": call.vehicle.state})


def _motion_state(call: Call) -> Reply:
    motion = call.vehicle.motion
    data: Json = {
        "state": call.vehicle.state,
        "position": round(motion.position_m, 4),
        "velocity": round(motion.speed_mps, 4),
        "target": round(motion.target_m, 4),
    }
    return ok(call, data)


# -- commanding


def _number(body: Json, key: str, default: float | None = None) -> float:
    value = body.get(key, default)
    if value is None:
        raise RefusedError(f"'{key}' is required")
    # JSON's true is an int in Python, and Python's reader lets NaN through.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RefusedError(f"'{key}' must be a finite number")
    return float(value)


def _segment_start(call: Call) -> Reply:
    body = call.request.json()
    segment = call.vehicle.start_segment(
        _number(body, "target"),
        _number(body, "velocity"),
        _number(body, "acceleration", physics.DEFAULT_ACCEL_MPS2),
    )
    return ok(call, message="Motion segment started", segment_id=segment)


def _segment_stop(call: Call) -> Reply:
    call.vehicle.stop()
    return ok(call, message="Motion segment stopped")


def _move(call: Call) -> Reply:
    call.vehicle.enter_move()
    return ok(call, message="Entered MOVE state", new_state="MOVING")


def _stop(call: Call) -> Reply:
    call.vehicle.stop()
    return ok(call, message="System stopped - returned to IDLE state", new_state="IDLE")


def _emergency(call: Call) -> Reply:
    call.vehicle.emergency(call.emergency_delay_s)
    return ok(
        call,
        message="Emergency stop activated",
        estop_id=f"estop_{call.vehicle.estop_count:03d}",
        response_time_ms=15,
        new_state="ESTOP",
    )


def _safety_estop(call: Call) -> Reply:
    call.vehicle.emergency(call.emergency_delay_s)
    return ok(call, message="Emergency stop activated")


def _reset(call: Call) -> Reply:
    call.vehicle.reset()
    return ok(call, message="System reset successfully", new_state="IDLE")


# -- LiDAR, configuration, network


def _lidar_scan(call: Call) -> Reply:
    distances = lidar.distances_mm(call.vehicle)
    points = [
        {"angle_deg": float(angle), "distance_mm": distances[angle], "quality": lidar.quality(distances[angle])}
        for angle in range(360)
    ]
    return ok(call, {"points": points, "point_count": 360})


def _lidar_frame(call: Call) -> Reply:
    return ok(call, {"distances": lidar.distances_mm(call.vehicle), "resolution_deg": 1})


def _lidar_safety(call: Call) -> Reply:
    nearest = min(lidar.distances_mm(call.vehicle))
    near = nearest < lidar.SAFE_MM
    return ok(call, {"safe": not near, "min_distance_mm": nearest, "obstacles_detected": near})


def _lidar_status(call: Call) -> Reply:
    return ok(call, {"connected": True, "scanning": call.vehicle.lidar_scanning, "health": "GOOD"})


def _scanning(on: bool) -> Handler:
    def handler(call: Call) -> Reply:
        call.vehicle.lidar_scanning = on
        return ok(call, message="Scanning started" if on else "Scanning stopped")

    return handler


def _config(name: str, defaults: Json) -> tuple[Handler, Handler]:
    """Handlers that read and write one named configuration; keys and types are those of its defaults."""

    def read(call: Call) -> Reply:
        return ok(call, defaults | call.vehicle.configs.get(name, {}))

    def write(call: Call) -> Reply:
        body = call.request.json()
        for key, value in body.items():
            if key not in defaults:
                raise RefusedError(f"Unknown key '{key}'")
            if type(value) is not type(defaults[key]):
                raise RefusedError(f"'{key}' has the wrong type")
        call.vehicle.configs[name] = call.vehicle.configs.get(name, {}) | body
        return ok(call, defaults | call.vehicle.configs[name], message="Configuration updated")

    return read, write


def _network(data: Json) -> Handler:
    return lambda call: ok(call, data)


_machine_read, _machine_write = _config(
    "state-machine", {"timeout_ms": 30000, "auto_recovery": False, "update_period_ms": 100}
)
_, _timeouts_write = _config("timeouts", {"timeout_ms": 30000, "move_timeout_ms": 30000, "dock_timeout_ms": 15000})
_lidar_read, _lidar_write = _config("lidar", {"scan_rate_hz": 10, "min_distance_mm": 150, "max_distance_mm": 12000})

ROUTES = (
    Route("GET", "/health", _health),
    Route("GET", f"{API}/system/status", _system_status),
    Route("GET", f"{API}/system/state", _system_state),
    Route("GET", f"{API}/robot/status", _robot_status),
    Route("GET", f"{API}/safety/status", _safety_status),
    Route("POST", f"{API}/safety/estop", _safety_estop),
    Route("POST", f"{API}/state/emergency", _emergency),
    Route("POST", f"{API}/state/move", _move),
    Route("POST", f"{API}/state/stop", _stop),
    Route("POST", f"{API}/state/reset", _reset),
    Route("GET", f"{API}/state/statistics", _statistics),
    Route("GET", f"{API}/control/status", _control_status),
    Route("GET", f"{API}/motion/state", _motion_state),
    Route("POST", f"{API}/motion/segment/start", _segment_start),
    Route("POST", f"{API}/motion/segment/stop", _segment_stop),
    Route("GET", f"{API}/config/state-machine", _machine_read),
    Route("POST", f"{API}/config/state-machine", _machine_write),
    Route("POST", f"{API}/config/timeouts", _timeouts_write),
    Route("GET", f"{API}/lidar/status", _lidar_status),
    Route("GET", f"{API}/lidar/health", _lidar_status),
    Route("GET", f"{API}/lidar/scan_data", _lidar_scan),
    Route("GET", f"{API}/lidar/scan_frame", _lidar_frame),
    Route("GET", f"{API}/lidar/scan_frame_full", _lidar_frame),
    Route("GET", f"{API}/lidar/scan_frame_360", _lidar_frame),
    Route("GET", f"{API}/lidar/safety_status", _lidar_safety),
    Route("GET", f"{API}/lidar/config", _lidar_read),
    Route("POST", f"{API}/lidar/config", _lidar_write),
    Route("POST", f"{API}/lidar/start_scanning", _scanning(True)),
    Route("POST", f"{API}/lidar/stop_scanning", _scanning(False)),
    Route("GET", f"{API}/network/status", _network({"connected": True, "interface": "eth0"})),
    Route("GET", f"{API}/network/performance", _network({"latency_ms": 1, "packet_loss": 0.0})),
    Route("GET", f"{API}/network/health", _network({"healthy": True})),
    Route("GET", f"{API}/network/wifi/status", _network({"connected": False, "ssid": ""})),
    Route("GET", f"{API}/network/wifi/scan", _network({"networks": []})),
    Route("GET", f"{API}/network/ap/status", _network({"active": False})),
    Route("GET", f"{API}/network/ap/clients", _network({"clients": []})),
    Route("GET", f"{API}/network/fallback/status", _network({"active": False})),
    *documented_modules.ROUTES,
)

DIALECT = Dialect("documented", Router(ROUTES), _authorize, _error, _unauthorized, _accepts)
