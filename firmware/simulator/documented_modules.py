"""The module endpoints of the vendor's document: discovery, telemetry and registers with live values."""

from urllib.parse import parse_qs

from firmware.simulator.registers import MODULES, READ, Module, pack_voltage, values
from firmware.simulator.vehicle import RefusedError
from firmware.simulator.wire import Call, Json, Reply, Route, json_reply

API = "/api/v1"


def ok(call: Call, data: Json | None = None, **fields: object) -> Reply:
    """A success in the shape of the document: `data` if there is any, and the time of day."""
    document: Json = {"success": True, **fields}
    if data is not None:
        document["data"] = data
    document["timestamp"] = call.vehicle.clock.iso()
    return json_reply(document)


def _not_found(call: Call, message: str) -> Reply:
    return json_reply({"success": False, "error": message, "timestamp": call.vehicle.clock.iso()}, 404)


def _module(call: Call) -> Module | Reply:
    """The module a request names, or why not."""
    text = call.args[0]
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 255:
        raise RefusedError("Invalid module address")
    module = None if int(text) in call.vehicle.unplugged else MODULES.get(int(text))
    return module or _not_found(call, f"Module {text} is offline")


def _bus(call: Call) -> Reply:
    gone = call.vehicle.unplugged
    modules = [
        {
            "address": m.address,
            "type": m.kind,
            "device_id": m.address,
            "status": "OFFLINE" if m.address in gone else "ONLINE",
            "health": 0 if m.address in gone else 95,
        }
        for m in MODULES.values()
    ]
    return ok(call, {"modules": modules, "count": len(modules), "discovery_time_ms": 17280})


def _modules(call: Call) -> Reply:
    gone = call.vehicle.unplugged
    modules = [{"address": m.address, "type": m.kind, "online": m.address not in gone} for m in MODULES.values()]
    return ok(call, {"modules": modules, "count": len(modules)})


def _stats(call: Call) -> Reply:
    gone = len(call.vehicle.unplugged)
    data: Json = {
        "total_modules": 4, "online_modules": 4 - gone, "offline_modules": gone, "discovery_total_ms": 17280,
        "p95_ms": 12, "p99_ms": 20, "health_timeouts": 0, "crc_errors": 0,
        "discovery_count": 1, "health_checks": 10, "comm_health": 100.0,
    }  # fmt: skip
    return ok(call, data)


def _power(call: Call) -> Json:
    motion = call.vehicle.motion
    return {
        "battery_voltage": round(pack_voltage(motion.battery_percent), 2),
        "battery_current": 5.4 if motion.moving else (-8.0 if motion.docked else 1.2),
        "battery_soc": round(motion.battery_percent, 3),
        "max_cell_voltage": 4005,
        "min_cell_voltage": 3389,
        "temperature": 249,
        "relay_12v": True,
        "relay_5v": True,
        "relay_3v3": True,
        "connection_count": 1,
        "status": "CHARGING" if motion.docked else "DISCHARGING",
    }


def _telemetry(call: Call) -> Reply:
    module = _module(call)
    if isinstance(module, Reply):
        return module
    if module.address == 2:
        return ok(call, _power(call))
    named = {
        register.name.lower().replace(" ", "_"): value
        for register, value in zip(module.registers.values(), values(call.vehicle, module).values(), strict=True)
    }
    return ok(call, {**named, "status": "ONLINE"})


def _health(call: Call) -> Reply:
    module = _module(call)
    if isinstance(module, Reply):
        return module
    data: Json = {
        "health_percentage": 95,
        "health_level": "GOOD",
        "response_time_ms": 12,
        "error_count": 0,
        "last_check": call.vehicle.clock.iso(),
    }
    return ok(call, data)


MODULE_CONFIG: Json = {"poll_interval_ms": 500, "timeout_ms": 1000, "retry_count": 3}


def _config_read(call: Call) -> Reply:
    module = _module(call)
    if isinstance(module, Reply):
        return module
    return ok(call, MODULE_CONFIG | call.vehicle.configs.get(f"module-{module.address}", {}))


def _config_write(call: Call) -> Reply:
    module = _module(call)
    if isinstance(module, Reply):
        return module
    body = call.request.json()
    for key, value in body.items():
        if key not in MODULE_CONFIG or type(value) is not int or value < 0:
            raise RefusedError(f"'{key}' is unknown or no whole number")
    stored = call.vehicle.configs.get(f"module-{module.address}", {}) | body
    call.vehicle.configs[f"module-{module.address}"] = stored
    return ok(call, MODULE_CONFIG | stored, message="Configuration updated")


def _command(call: Call) -> Reply:
    module = _module(call)
    if isinstance(module, Reply):
        return module
    if call.request.json().get("command") not in ("reset", "start", "stop", "status"):
        raise RefusedError("Invalid command type")
    return ok(call, message="Command executed")


def _data(call: Call) -> Reply:
    module = _module(call)
    if isinstance(module, Reply):
        return module
    present, at_ms = values(call.vehicle, module), call.vehicle.clock.epoch_ms()
    registers = [
        {"address": reg.hex, "name": reg.name, "mode": reg.mode, "data_type": reg.data_type, "description": reg.name,
         "value": present[reg.address], "timestamp": at_ms}
        for reg in module.registers.values()
    ]  # fmt: skip
    data: Json = {
        "module_addr": module.address,
        "module_name": module.name,
        "online": True,
        "register_count": len(registers),
        "registers": registers,
    }
    return ok(call, data)


def _history(call: Call) -> Reply:
    module = _module(call)
    if isinstance(module, Reply):
        return module
    limit = parse_qs(call.request.query).get("limit", ["10"])[0]
    if not limit.isdigit() or not 1 <= int(limit) <= 100:
        raise RefusedError("'limit' must be between 1 and 100")
    now_ms, present = call.vehicle.clock.epoch_ms(), values(call.vehicle, module)
    first = next(iter(present.values()))
    return ok(call, {"records": [{"timestamp": now_ms - 1000 * n, "value": first} for n in range(int(limit))]})


def _register_write(call: Call) -> Reply:
    module = _module(call)
    if isinstance(module, Reply):
        return module
    body = call.request.json()
    if "value" not in body:
        raise RefusedError("Missing 'value' field in request")
    try:
        register = module.registers.get(int(call.args[1], 16))
    except ValueError as error:
        raise RefusedError("Invalid register address") from error
    if register is None:
        return _not_found(call, "Register not found")
    if register.mode == READ:
        raise RefusedError(f"Register {register.hex} is read-only")
    value = body["value"]
    if type(value) is not int:
        raise RefusedError(f"Value of {register.hex} must be a whole number ({register.data_type})")
    if not register.low <= value <= register.high:
        raise RefusedError(f"Value out of range ({register.low} to {register.high})")
    call.vehicle.registers[(module.address, register.address)] = value
    return ok(call, message="Register written successfully")


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
    Route("POST", f"{API}/modules/{{}}/registers/{{}}", _register_write),
)
