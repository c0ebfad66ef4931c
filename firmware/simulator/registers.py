"""The four RS485 modules and their register maps (58, 30, 25 and 40 registers)."""

from collections.abc import Iterator
from dataclasses import dataclass

from firmware.simulator.vehicle import Vehicle

READ, READ_WRITE = "READ", "READ_WRITE"


@dataclass(frozen=True)
class Register:
    """One 16-bit register; `low` and `high` bound what may be written."""

    address: int
    name: str
    mode: str
    data_type: str
    initial: int
    low: int = 0
    high: int = 65535

    @property
    def hex(self) -> str:
        """The address as the API spells it."""
        return f"0x{self.address:04X}"


@dataclass(frozen=True)
class Module:
    """One module on the bus."""

    address: int
    name: str
    kind: str
    number: int
    registers: dict[int, Register]


def _block(start: int, names: str, *, initial: int = 0, high: int | None = None) -> Iterator[Register]:
    """Consecutive registers; with `high` they may be written from 0 to it."""
    for offset, name in enumerate(names.split(",")):
        if high is None:
            yield Register(start + offset, name.strip(), READ, "UINT16", initial)
        else:
            kind = "BOOL" if high == 1 else "UINT16"
            yield Register(start + offset, name.strip(), READ_WRITE, kind, initial, high=high)


def _series(start: int, name: str, count: int, *, initial: int = 0, high: int | None = None) -> Iterator[Register]:
    """Numbered registers of one kind."""
    return _block(start, ",".join(f"{name} {number}" for number in range(1, count + 1)), initial=initial, high=high)


def _module(address: int, name: str, kind: str, number: int, *blocks: Iterator[Register]) -> Module:
    return Module(address, name, kind, number, {reg.address: reg for block in blocks for reg in block})


SYSTEM = "Device Id,Firmware Version,Hardware Version,Uptime,Error Count,Bus Address"

MODULES: dict[int, Module] = {
    module.address: module
    for module in (
        _module(
            2,
            "Power Module",
            "POWER",
            1,
            _block(0x0000, "Battery Pack Voltage,Battery Current,State of Charge,Max Cell Voltage,Min Cell Voltage"),
            _series(0x0005, "Cell Voltage", 7, initial=3700),
            _series(0x000C, "Battery Temperature", 4, initial=249),
            _series(0x0010, "Battery Status Word", 10),
            _block(0x0030, "Charge Voltage Limit,Charge Current Limit", initial=294, high=600),
            _block(0x0032, "Charge Enable", initial=1, high=1),
            _series(0x0033, "Charger Reading", 9),
            _series(0x0040, "Rail Measurement", 9, initial=120),
            _block(0x0049, "Relay 12V,Relay 5V,Relay 3V3,Relay Charger,Relay Spare", initial=1, high=1),
            _block(0x00F0, SYSTEM, initial=1),
        ),
        _module(
            3,
            "Safety Module",
            "SAFETY",
            2,
            _series(0x0000, "Distance Sensor", 8, initial=2500),
            _series(0x0008, "Digital Input", 8),
            _series(0x0010, "Relay Output", 4, high=1),
            _series(0x0014, "Distance Threshold", 4, initial=500, high=5000),
            _block(0x00F0, SYSTEM, initial=1),
        ),
        _module(
            4,
            "Travel Motor Module",
            "TRAVEL_MOTOR",
            3,
            _block(0x0000, "Position,Speed,Target Position,Motor Current,Motor Temperature"),
            _block(0x0005, "Max Speed,Max Acceleration", initial=1000, high=2000),
            _series(0x0007, "Gain", 6, initial=100, high=1000),
            _series(0x000D, "Drive Status Word", 6),
            _block(0x00F0, SYSTEM, initial=1),
        ),
        _module(
            5,
            "Dock Module",
            "DOCK",
            4,
            _series(0x0000, "Dock Sensor", 12),
            _series(0x000C, "Dock Actuator", 6, high=1),
            _series(0x0012, "Dock Setting", 8, initial=50, high=1000),
            _series(0x001A, "Dock Status Word", 8),
            _block(0x00F0, SYSTEM, initial=1),
        ),
    )
}


def _live(vehicle: Vehicle) -> dict[tuple[int, int], int]:
    """The registers that follow the robot: 0.1 V, 0.1 A, 0.1 %, mV; mm, mm/s, mm."""
    motion = vehicle.motion
    return {
        (2, 0x0000): round(pack_voltage(motion.battery_percent) * 10),
        (2, 0x0001): 54 if motion.moving else 12,
        (2, 0x0002): round(motion.battery_percent * 10),
        (2, 0x0003): 4005,
        (2, 0x0004): 3389,
        (4, 0x0000): round(motion.position_m * 1000) % 65536,
        (4, 0x0001): round(abs(motion.speed_mps) * 1000),
        (4, 0x0002): round(motion.target_m * 1000) % 65536,
    }


def pack_voltage(battery_percent: float) -> float:
    """Volts of the pack at a state of charge: a straight line is near enough."""
    return 22.0 + 5.0 * battery_percent / 100


def values(vehicle: Vehicle, module: Module) -> dict[int, int]:
    """The present value of each register of a module."""
    live = _live(vehicle)
    return {
        address: live.get((module.address, address), vehicle.registers.get((module.address, address), reg.initial))
        for address, reg in module.registers.items()
    }
