"""The dialect of the binary as measured: constants stay constants, stubs stay stubs, 200 is no evidence."""

from firmware.simulator import observed_modules
from firmware.simulator.dialect import Dialect
from firmware.simulator.machine import State
from firmware.simulator.wire import Call, Handler, Json, Reply, Request, Route, Router, json_reply

API = "/api/v1"


def _error(call: Call, status: int, message: str) -> Reply:
    return json_reply({"success": False, "message": message}, status)


def _unauthorized(call: Call) -> Reply:
    # The firmware forgets the closing brace; a client that parses before it looks at the status falls over here.
    return Reply(401, b'{"success":false,"message":"Unauthorized"')


def _authorize(route: Route, call: Call) -> Reply | None:
    if route.auth == "any" and call.request.token not in call.vehicle.settings.tokens.values():
        return _unauthorized(call)
    return None


def _accepts(request: Request, route: Route) -> bool:
    # Two of its routers compare the whole target, query string included.
    strict = route.pattern.startswith((f"{API}/modules/{{}}", f"{API}/network/"))
    return not (strict and "?" in request.target)


def _constant(document: Json) -> Handler:
    return lambda call: json_reply(document)


def _data(data: Json) -> Handler:
    return _constant({"success": True, "data": data})


# -- reading


def _health(call: Call) -> Reply:
    data: Json = {
        "system_state": call.vehicle.state,
        "timestamp": call.vehicle.clock.epoch_s(),
        "version": "1.0.0",
    }
    return json_reply({"success": True, "status": "healthy", "firmware": "running", "data": data})


def _system_state(call: Call) -> Reply:
    machine, clock = call.vehicle.machine, call.vehicle.clock
    data: Json = {
        "current_state": machine.state,
        "previous_state": machine.previous,
        "state_duration_ms": machine.duration_ms(clock.now()),
        "total_transitions": machine.transitions,
        "system_ready": machine.state is State.IDLE,
        "safety_ok": False,
        "communication_ok": True,
        "sensors_ok": True,
        "location_ok": True,
        "last_event": machine.last_event,
        "current_fault": "NONE",
        "state_timeout_ms": call.vehicle.junk,
        "timestamp": clock.epoch_ms(),
    }
    return json_reply({"success": True, "data": data})


def _robot_status(call: Call) -> Reply:
    clock = call.vehicle.clock
    data: Json = {
        "robot_id": call.vehicle.settings.robot_id,
        "status": "idle",
        "mode": "auto",
        "position": {"x": 0.0, "y": 0.0, "z": 0.0},
        "speed": 0.0,
        "battery_level": 0,
        "temperature": 0.0,
        "uptime": clock.epoch_s(),
        "health_score": 0,
        "safety": {"estop": False, "obstacles": False},
        "docking": "IDLE",
        "timestamp": clock.epoch_ms(),
    }
    return json_reply({"success": True, "data": data})


def _statistics(call: Call) -> Reply:
    machine, clock = call.vehicle.machine, call.vehicle.clock
    counters: Json = {
        "total_transitions": machine.transitions,
        "emergency_count": machine.counts["EMERGENCY_STOP"],
        "fault_count": machine.counts["FAULT_DETECTED"],
    }
    data: Json = {
        "current_state": machine.state,
        "time_in_states": machine.time_in_states_ms(clock.now()),
        "transition_counters": counters,
        "performance_metrics": {"avg_transition_time_ms": 0, "max_transition_time_ms": 0},
        "system_health": {"uptime_ms": int((clock.now() - machine.booted_s) * 1000), "error_rate": 0.0},
    }
    return json_reply({"success": True, "data": data, "timestamp": clock.epoch_ms()})


MOTION: Json = {
    "x_est": 0.0, "v": 0.0, "remaining": 0.0, "safety": {"estop": False, "p95": 0}, "docking": "IDLE",
    "freshness_ms": 0, "health": False, "target_v": 0.0,
}  # fmt: skip


# -- commanding


def _move(call: Call) -> Reply:
    if call.vehicle.state is not State.IDLE:
        return _error(call, 400, f"Cannot move from current state: {call.vehicle.state}")
    return json_reply({"success": True, "message": "Entered MOVE state"})


def _stop(call: Call) -> Reply:
    call.vehicle.stop()
    return json_reply({"success": True, "message": "System stopped - returned to IDLE state"})


def _reset(call: Call) -> Reply:
    call.vehicle.reset()
    return json_reply({"success": True, "message": "System reset successfully"})


def _emergency(call: Call) -> Reply:
    call.vehicle.emergency(call.emergency_delay_s)
    document: Json = {
        "success": True,
        "message": "Emergency stop activated",
        "estop_id": "estop_001",
        "response_time_ms": 15,
    }
    return json_reply(document)


# -- configuration, network

MACHINE_CONFIG: Json = {
    "state_timeout_ms": 30000,
    "update_period_ms": 100,
    "auto_recovery_enabled": False,
    "safety_checks_enabled": True,
    "logging_enabled": True,
}


def _config_read(call: Call) -> Reply:
    return json_reply({"success": True, "data": MACHINE_CONFIG | call.vehicle.configs.get("state-machine", {})})


def _config_write(call: Call) -> Reply:
    """Known keys are picked out of the text, everything else is accepted and ignored."""
    if not call.request.body:
        return _error(call, 400, "Request body required")
    stored = call.vehicle.configs.setdefault("state-machine", {})
    limits = {"state_timeout_ms": (100, 300000), "update_period_ms": (10, 10000)}
    for key, (low, high) in limits.items():
        number = observed_modules.scan_number(call.request.body, key)
        if number is None:
            continue
        if not low <= number <= high:
            return _error(call, 400, f"{key} out of range")
        stored[key] = number
    for key in MACHINE_CONFIG:
        if key.endswith("_enabled") and f'"{key}":'.encode() in call.request.body:
            stored[key] = f'"{key}":true'.encode() in call.request.body.replace(b": ", b":")
    return json_reply({"success": True, "message": "Configuration updated"})


def _network(data: Json) -> Handler:
    return lambda call: json_reply({"success": True, "data": data, "timestamp": call.vehicle.clock.iso()})


def _network_failure(message: str) -> Handler:
    def handler(call: Call) -> Reply:
        clock = call.vehicle.clock
        # This router prints its JSON with spaces, unlike all the others.
        return Reply(500, f'{{"success": false, "error": "{message}", "timestamp": "{clock.iso()}"}}'.encode())

    return handler


SEGMENT: Json = {"success": True, "message": "segment started", "segment_id": "seg_001"}

ROUTES = (
    Route("GET", "/health", _health),
    Route("GET", f"{API}/system/status", _data({"system": "OHT-50", "status": "ok"})),
    Route("GET", f"{API}/system/state", _system_state),
    Route("GET", f"{API}/robot/status", _robot_status),
    Route("GET", f"{API}/safety/status", _data({"estop_active": False, "safety_ok": True})),
    Route("POST", f"{API}/safety/estop", _constant({"success": True, "message": "E-Stop trigger accepted"})),
    Route("POST", f"{API}/state/emergency", _emergency, "any"),
    Route("POST", f"{API}/state/move", _move, "any"),
    Route("POST", f"{API}/state/stop", _stop, "any"),
    Route("POST", f"{API}/state/reset", _reset, "any"),
    Route("GET", f"{API}/state/statistics", _statistics),
    Route("GET", f"{API}/control/status", _data({"position": 0.0, "velocity": 0.0, "error": 0.0})),
    Route("GET", f"{API}/motion/state", _data(MOTION)),
    Route("POST", f"{API}/motion/segment/start", _constant(SEGMENT)),
    Route("POST", f"{API}/motion/segment/stop", _constant({"success": True, "message": "segment stopped"})),
    Route("GET", f"{API}/config/state-machine", _config_read),
    Route("POST", f"{API}/config/state-machine", _config_write, "any"),
    Route("POST", f"{API}/config/timeouts", _config_write, "any"),
    Route("GET", f"{API}/network/status", _network({"connected": True, "interface": "eth0"})),
    Route("GET", f"{API}/network/performance", _network({"latency_ms": 0, "packet_loss": 0.0})),
    Route("GET", f"{API}/network/health", _network({"healthy": True})),
    Route("GET", f"{API}/network/wifi/status", _network_failure("Failed to get WiFi status")),
    Route("GET", f"{API}/network/wifi/scan", _network_failure("Failed to scan WiFi networks")),
    Route("GET", f"{API}/network/ap/status", _network_failure("Failed to get AP status")),
    Route("GET", f"{API}/network/ap/clients", _network_failure("Failed to get AP clients")),
    Route("GET", f"{API}/network/fallback/status", _network({"active": False})),
    *observed_modules.ROUTES,
)

DIALECT = Dialect("observed", Router(ROUTES), _authorize, _error, _unauthorized, _accepts)
