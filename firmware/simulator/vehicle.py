"""One OHT-50 without its network: rail, state machine, hardware button and registers, behind the verbs of its API."""

import random
from dataclasses import dataclass, field, replace

from firmware.simulator import physics
from firmware.simulator.clock import Clock
from firmware.simulator.machine import Machine, State
from firmware.simulator.physics import Motion

TOKENS = {
    "admin": "oht50_admin_token_2025",
    "operator": "oht50_operator_token_2025",
    "readonly": "oht50_readonly_token_2025",
}
# After a hardware stop the observed firmware obeys a reset for less than 100 ms, then falls back.
RESTICK_S = 0.08


class RefusedError(Exception):
    """The robot will not do that now; the text is what its reply says (status 400)."""


@dataclass(frozen=True)
class Settings:
    """What does not change while a robot runs; `boot_s` and `register_write_s` (shortest, longest) in seconds."""

    dialect: str = "documented"
    robot_id: str = "OHT-50-001"
    rail_m: float = 100.0
    start_m: float = 10.0
    boot_s: float = 0.0
    seed: int = 0
    tokens: dict[str, str] = field(default_factory=lambda: dict(TOKENS))
    modules: bool = False
    lidar: bool = False
    register_write_s: tuple[float, float] = (1.7, 4.3)

    @property
    def button_delay_s(self) -> float:
        """Seconds until a pressed hardware button shows in the API."""
        if self.dialect == "documented":
            return 0.1
        return 21.5 if self.modules else 1.0


@dataclass
class Vehicle:
    """The robot proper. Not thread-safe: its owner holds a lock around every call."""

    settings: Settings
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        now = self.clock.now()
        self.rng = random.Random(self.settings.seed)
        self.motion = Motion(at_s=now, position_m=self.settings.start_m, target_m=self.settings.start_m)
        self.estop_count = 0
        self.unplugged: set[int] = set()  # modules that are off the bus, by address
        self.button_pressed = False
        self._power_up(now)

    def _power_up(self, now: float) -> None:
        self.machine = Machine(entered_s=now, boot_s=self.settings.boot_s)
        self.segment_id = 0
        self.button_latched = self.button_pressed
        self.registers: dict[tuple[int, int], int] = {}
        self.configs: dict[str, dict[str, object]] = {}
        self.lidar_scanning = True
        # What the observed firmware prints as state_timeout_ms: memory nobody ever wrote.
        self.junk = self.rng.getrandbits(32)
        self._emergencies_due_s: list[float] = []
        if self.button_pressed:
            self._emergencies_due_s.append(now + self.settings.boot_s + self.settings.button_delay_s)

    # -- time

    def refresh(self) -> float:
        """Bring everything up to the present; return it (monotonic seconds)."""
        now = self.clock.now()
        for due_s in sorted(due for due in self._emergencies_due_s if due <= now):
            self._settle(due_s)
            self._enter_estop(due_s)
        self._emergencies_due_s = [due for due in self._emergencies_due_s if due > now]
        self._settle(now)
        return now

    def _settle(self, at_s: float) -> None:
        ends_at_s = self.motion.ends_at_s
        was_moving = self.motion.moving
        self.motion = physics.advance(self.motion, at_s)
        if was_moving and not self.motion.moving and self.machine.state is State.MOVE:
            self.machine.fire("TARGET_REACHED", ends_at_s)
        self.machine.expire(at_s, working=self.motion.moving)

    @property
    def state(self) -> State:
        """The state the firmware is in, as of the last refresh."""
        return self.machine.state

    # -- verbs of the API

    def enter_move(self) -> None:
        """MOVE without a segment; falls back to IDLE by time-out."""
        if not self.machine.fire("MOVE_COMMAND", self.clock.now()):
            raise RefusedError(f"Cannot move from current state: {self.state}")

    def start_segment(self, target_m: float, speed_mps: float, accel_mps2: float) -> int:
        """Drive to `target_m`; returns the number of the segment."""
        if not 0 <= target_m <= self.settings.rail_m:
            raise RefusedError(f"Target {target_m:g} m is outside the rail (0 to {self.settings.rail_m:g} m)")
        if not 0 < speed_mps <= physics.MAX_SPEED_MPS:
            raise RefusedError(f"Velocity {speed_mps:g} m/s is outside 0 to {physics.MAX_SPEED_MPS:g} m/s")
        if not 0 < accel_mps2 <= physics.MAX_ACCEL_MPS2:
            raise RefusedError(f"Acceleration {accel_mps2:g} m/s2 is outside 0 to {physics.MAX_ACCEL_MPS2:g} m/s2")
        if self.state is not State.IDLE:
            raise RefusedError(f"Cannot start a segment in state {self.state}")
        if self.motion.moving:
            raise RefusedError("Cannot start a segment: the robot is still braking")
        self.machine.fire("MOVE_COMMAND", self.clock.now())
        self.motion = physics.run_to(self.motion, target_m, speed_mps, accel_mps2)
        if not self.motion.moving:
            self.machine.fire("TARGET_REACHED", self.clock.now())
        self.segment_id += 1
        return self.segment_id

    def stop(self) -> None:
        """Controlled stop: IDLE at once, the carriage brakes at the rate of its segment."""
        if self.state in (State.FAULT, State.ESTOP):
            raise RefusedError("Cannot stop from fault/emergency state - use reset instead")
        self.machine.fire("STOP_COMMAND", self.clock.now())
        self.motion = physics.brake(self.motion, self.motion.accel_mps2)

    def emergency(self, delay_s: float = 0.0) -> None:
        """Emergency stop; a `delay_s` models a firmware that answers first and acts later."""
        if self.state is State.SAFE:
            raise RefusedError("Cannot enter emergency from current state: SAFE")
        if delay_s > 0:
            self._emergencies_due_s.append(self.clock.now() + delay_s)
        else:
            self._enter_estop(self.clock.now())

    def _enter_estop(self, at_s: float) -> None:
        if self.machine.fire("EMERGENCY_STOP", at_s):
            self.estop_count += 1
        self.motion = physics.brake(self.motion, physics.EMERGENCY_DECEL_MPS2)

    def reset(self) -> None:
        """Leave ESTOP or FAULT. A latched button makes it a lie in the observed dialect, an error in the other."""
        if self.state not in (State.ESTOP, State.FAULT):
            raise RefusedError("Reset can only be used from FAULT or ESTOP states")
        if self.settings.dialect == "documented":
            if self.button_pressed:
                raise RefusedError("Cannot reset: the emergency stop button is pressed")
        elif self.button_latched:
            self._emergencies_due_s.append(self.clock.now() + RESTICK_S)
        self.machine.fire("RESET", self.clock.now())

    # -- things that happen to a robot

    def press_button(self) -> None:
        """The hardware stop: the drive loses power at once, the API hears of it later."""
        self.button_pressed = self.button_latched = True
        self.motion = physics.brake(self.motion, physics.EMERGENCY_DECEL_MPS2)
        self._emergencies_due_s.append(self.clock.now() + self.settings.button_delay_s)

    def release_button(self) -> None:
        """Turn the button back out; the observed firmware does not notice."""
        self.button_pressed = False

    def set_battery(self, percent: float) -> None:
        """Put `percent` (0 to 100) into the battery."""
        if not 0 <= percent <= 100:
            raise ValueError("percent must be between 0 and 100")
        self.motion = replace(self.motion, battery_percent=percent)

    def place(self, position_m: float) -> None:
        """Carry the robot by hand to `position_m`; it then stands."""
        if not 0 <= position_m <= self.settings.rail_m:
            raise ValueError(f"position_m must be between 0 and {self.settings.rail_m:g}")
        self.machine.fire("STOP_COMMAND", self.clock.now())
        self.motion = replace(
            self.motion, position_m=position_m, speed_mps=0.0, phases=(), end_m=position_m, target_m=position_m
        )

    def reboot(self) -> None:
        """Restart of the firmware: state, counters and registers are gone; place, speed and battery are physics."""
        now = self.refresh()
        self.motion = physics.brake(self.motion, physics.EMERGENCY_DECEL_MPS2)
        self._power_up(now)
