"""Module, register and LiDAR endpoints of the binary as measured: frozen numbers and text search instead of parsing."""

import re

from firmware.simulator import lidar
from firmware.simulator.registers import MODULES, READ
from firmware.simulator.wire import Call, Handler, Json, Reply, Route, json_reply

API = "/api/v1"
# The order and the numbers are those of the binary; none of them ever changes.
TELEMETRY: tuple[tuple[str, float, float, float, str, str], ...] = (
    ("voltage", 24.1, 0.0, 30.0, "V", "Supply voltage"),
    ("current", 2.1, 0.0, 10.0, "A", "Current draw"),
    ("power", 50.6, 0.0, 300.0, "W", "Power consumption"),
    ("temperature", 35.2, -20.0, 80.0, "C", "Module temperature"),
    ("efficiency", 92.5, 0.0, 100.0, "%", "Efficiency"),
    ("load_percentage", 45.0, 0.0, 100.0, "%", "Load"),
)


def scan_number(body: bytes, key: str) -> int | None:
    """The whole number after `"key":` anywhere in the text; 0 where no number follows, None without the key."""
    _, found, rest = body.partition(f'"{key}"'.encode())
    if not found or b":" not in rest:
        return None
    digits = re.match(rb"\s*([+-]?\d+)", rest.partition(b":")[2])
    return int(digits.group(1)) if digits else 0


def _failure(status: int, message: str) -> Reply:
    return json_reply({"success": False, "message": message}, status)


def _address(call: Call) -> int:
    """The module number, 0 for what is none: the firmware's own atoi() does so."""
    digits = re.match(r"\d+", call.args[0])
    return int(digits.group()) if digits else 0


def _bus(call: Call) -> Reply:
    found = MODULES.values() if call.vehicle.settings.modules else ()
    modules = [
        {"address": m.address, "name": m.name, "status": "healthy", "type": m.number, "version": "1.0.0"} for m in found
    ]
    data: Json = {"modules": modules, "total_modules": len(modules), "health_score": 75.0 if modules else 0.0}
    return json_reply({"success": True, "data": data})


def _modules(call: Call) -> Reply:
    seen = call.vehicle.clock.iso()
    modules = [
        {"address": m.address, "type": m.name.removesuffix(" Module"), "online": True, "last_seen": seen}
        for m in MODULES.values()
    ]
    return json_reply({"success": True, "modules": modules})


def _stats(call: Call) -> Reply:
    count = 4 if call.vehicle.settings.modules else 0
    data: Json = {
        "total_modules": count, "online_modules": count, "offline_modules": 0, "discovery_total_ms": 17280,
        "p95_ms": 0, "p99_ms": 0, "health_timeouts": 0, "crc_errors": 0,
    }  # fmt: skip
    return json_reply({"success": True, "data": data})


def _telemetry(call: Call) -> Reply:
    address = _address(call)
    if not 1 <= address <= 255:
        return _failure(400, "Invalid module ID")
    if address not in MODULES:
        return _failure(500, "Failed to get module telemetry")
    telemetry = {
        name: {"value": value, "range": {"min": low, "max": high}, "unit": unit, "description": text}
        for name, value, low, high, unit, text in TELEMETRY
    }
    data: Json = {
        "module_id": address,
        "module_name": MODULES[address].name,
        "telemetry": telemetry,
        "timestamp": call.vehicle.clock.epoch_s(),
        "data_freshness_ms": 50,
    }
    return json_reply({"success": True, "data": data})


def _health(call: Call) -> Reply:
    address = _address(call)
    if address not in MODULES:
        return _failure(500 if 1 <= address <= 255 else 400, "Failed to get module health")
    data: Json = {
        "module_id": address,
        "health_status": "healthy",
        "health_score": 95.5,
        "uptime_seconds": 86400,
        "diagnostics": {"communication": "ok", "sensors": "ok", "power": "ok"},
        "timestamp": call.vehicle.clock.epoch_ms(),
    }
    return json_reply({"success": True, "data": data})


def _config_read(call: Call) -> Reply:
    config: Json = {"emergency_stop_enabled": True, "response_time_ms": 100, "auto_recovery": False}
    data: Json = {"module_id": _address(call), "config": config, "timestamp": call.vehicle.clock.epoch_s()}
    return json_reply({"success": True, "data": data})


def _config_write(call: Call) -> Reply:
    if not call.request.body:
        return _failure(400, "Request body required")
    return json_reply({"success": True, "message": "Module configuration updated"})


def _command(call: Call) -> Reply:
    # A text search: one space after the colon and the command is not found.
    for command in (b"reset", b"start", b"stop", b"status"):
        if b'"command":"' + command + b'"' in call.request.body:
            return json_reply({"success": True, "message": f"Command {command.decode()} executed"})
    return _failure(400, "Invalid command type")


def _data(call: Call) -> Reply:
    address = _address(call)
    module = MODULES.get(address)
    if module is None:
        return json_reply({"success": False, "error": f"Module 0x{address:02X} is offline", "online": False}, 404)
    registers = [
        {"address": reg.hex, "name": reg.name, "mode": reg.mode, "data_type": reg.data_type, "description": reg.name,
         "value": None, "timestamp": None}
        for reg in module.registers.values()
    ]  # fmt: skip
    data: Json = {
        "module_addr": address,
        "module_name": module.name,
        "online": True,
        "register_count": len(registers),
        "registers": registers,
    }
    return json_reply({"success": True, "data": data, "timestamp": call.vehicle.clock.iso()})


def _history(call: Call) -> Reply:
    now_ms = call.vehicle.clock.epoch_ms()
    records = [
        {"timestamp": now_ms - 60_000 * n, "voltage": 24.1, "current": 2.1, "temperature": 35.2} for n in range(10)
    ]
    return json_reply({"success": True, "data": {"module_id": _address(call), "records": records}})


def _register_write(call: Call) -> Reply:
    value = scan_number(call.request.body, "value")
    if value is None:
        return _failure(400, "Missing 'value' field in request")
    module = MODULES.get(_address(call))
    try:
        register = module.registers.get(int(call.args[1], 16)) if module else None
    except ValueError:
        register = None
    if module is None or register is None:
        return _failure(404, "Register not found")
    if register.mode == READ:
        return _failure(400, f"Register {register.hex} is read-only")
    if not register.low <= value <= register.high:
        return _failure(400, "Value out of range")
    return _bus_write(call, module.address, register.address, value)


def _bus_write(call: Call, module: int, register: int, value: int) -> Reply:
    """The write itself: slow, with nothing at the other end a failure, and now and then a lie."""
    vehicle = call.vehicle
    busy_s = vehicle.rng.uniform(*vehicle.settings.register_write_s)
    if not vehicle.settings.modules:
        return json_reply({"success": False, "message": "Write failed", "timeout": False}, 500, busy_s)
    if vehicle.rng.random() >= 0.1:
        vehicle.registers[(module, register)] = value
    return json_reply({"success": True, "message": "Write successful"}, busy_s=busy_s)


# -- LiDAR


def _with_lidar(name: str, handler: Handler) -> Handler:
    """`handler` where a device is connected, the firmware's failure where none is."""
    return lambda call: handler(call) if call.vehicle.settings.lidar else _failure(500, f"Failed to get LiDAR {name}")


def _lidar_status(call: Call) -> Reply:
    there = call.vehicle.settings.lidar
    data: Json = {"connected": there, "scanning": there and call.vehicle.lidar_scanning}
    return json_reply({"success": True, "data": data})


def _lidar_health(call: Call) -> Reply:
    if not call.vehicle.settings.lidar:
        return _failure(200, "LiDAR not connected")
    return json_reply({"success": True, "data": {"health": "ok"}})


def _lidar_scan(call: Call) -> Reply:
    distances = lidar.distances_mm(call.vehicle)
    points = [
        {"distance": distances[angle], "angle": angle, "quality": lidar.quality(distances[angle])}
        for angle in range(0, 360, 8)
    ]
    return json_reply({"success": True, "data": {"points": points, "point_count": len(points)}})


def _lidar_frame(call: Call) -> Reply:
    return json_reply({"success": True, "data": {"frame_360": lidar.distances_mm(call.vehicle)}})


def _lidar_safety(call: Call) -> Reply:
    nearest = min(lidar.distances_mm(call.vehicle))
    return json_reply({"success": True, "data": {"safe": nearest >= lidar.SAFE_MM, "min_distance_mm": nearest}})


def _lidar_config(call: Call) -> Reply:
    return json_reply({"success": True, "data": {"scan_rate_hz": 10, "max_distance_mm": 12000}})


def _scanning(on: bool) -> Handler:
    def handler(call: Call) -> Reply:
        call.vehicle.lidar_scanning = on
        return json_reply({"success": True, "message": "LiDAR scanning started" if on else "LiDAR scanning stopped"})

    return handler


ROUTES = (
    Route("GET", f"{API}/rs485/modules", _bus),
    Route("GET", f"{API}/modules", _modules),
    Route("GET", f"{API}/modules/stats", _stats),
    Route("GET", f"{API}/modules/{{}}/telemetry", _telemetry),
    Route("GET", f"{API}/modules/{{}}/health", _health),
    Route("GET", f"{API}/modules/{{}}/config", _config_read),
    Route("POST", f"{API}/modules/{{}}/config", _config_write),
    Route("POST", f"{API}/modules/{{}}/command", _command),
    Route("GET", f"{API}/modules/{{}}/data", _data),
    Route("GET", f"{API}/modules/{{}}/history", _history),
    Route("POST", f"{API}/modules/{{}}/registers/{{}}", _register_write, "any"),
    Route("GET", f"{API}/lidar/status", _lidar_status),
    Route("GET", f"{API}/lidar/health", _lidar_health),
    Route("GET", f"{API}/lidar/scan_data", _with_lidar("scan data", _lidar_scan)),
    Route("GET", f"{API}/lidar/scan_frame", _with_lidar("scan frame", _lidar_frame)),
    Route("GET", f"{API}/lidar/scan_frame_full", _with_lidar("scan frame", _lidar_frame)),
    Route("GET", f"{API}/lidar/scan_frame_360", _with_lidar("360 frame", _lidar_frame)),
    Route("GET", f"{API}/lidar/config", _with_lidar("config", _lidar_config)),
    Route("GET", f"{API}/lidar/safety_status", _with_lidar("safety status", _lidar_safety)),
    Route("POST", f"{API}/lidar/start_scanning", _with_lidar("scanning", _scanning(True))),
    Route("POST", f"{API}/lidar/stop_scanning", _with_lidar("scanning", _scanning(False))),
    Route("POST", f"{API}/lidar/config", _with_lidar("config", _lidar_config)),
)
