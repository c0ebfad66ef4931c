"""A carriage on a straight rail: trapezoidal speed profile, braking and battery, without a ticking thread.

A run is a list of phases of constant acceleration, so the state at any later time follows in closed form: nothing has
to run between two reads, and a run ends exactly at its target whatever the moments it is read at.
"""

import math
from dataclasses import dataclass, replace

MAX_SPEED_MPS = 2.0
MAX_ACCEL_MPS2 = 1.0
DEFAULT_ACCEL_MPS2 = 0.5
EMERGENCY_DECEL_MPS2 = 3.0
DOCK_M = 0.0
DOCK_TOLERANCE_M = 0.2

DRAIN_PERCENT_PER_S = 1.0 / 3600
DRAIN_PERCENT_PER_M = 0.02
CHARGE_PERCENT_PER_S = 60.0 / 3600


@dataclass(frozen=True)
class Phase:
    """A stretch of constant acceleration (m/s², signed) lasting `duration_s`."""

    duration_s: float
    accel_mps2: float


@dataclass(frozen=True)
class Motion:
    """Where the carriage is at monotonic time `at_s`, and what it is in the middle of doing.

    `speed_mps` is signed; `phases` are what remains of the run, which ends at `end_m`; `accel_mps2` is the rate a
    controlled stop brakes with.
    """

    at_s: float
    position_m: float
    speed_mps: float = 0.0
    battery_percent: float = 87.0
    target_m: float = 0.0
    accel_mps2: float = DEFAULT_ACCEL_MPS2
    phases: tuple[Phase, ...] = ()
    end_m: float = 0.0

    @property
    def moving(self) -> bool:
        """Whether the carriage still has way to go."""
        return bool(self.phases)

    @property
    def ends_at_s(self) -> float:
        """Monotonic time at which the run is over."""
        return self.at_s + sum(phase.duration_s for phase in self.phases)

    @property
    def docked(self) -> bool:
        """Whether the carriage stands at the charger."""
        return not self.phases and abs(self.position_m - DOCK_M) <= DOCK_TOLERANCE_M


def run_to(motion: Motion, target_m: float, speed_mps: float, accel_mps2: float) -> Motion:
    """Start from rest towards `target_m`, never faster than `speed_mps`."""
    distance = target_m - motion.position_m
    way = math.copysign(1.0, distance)
    # On a short way the cruise speed is never reached: the profile becomes a triangle.
    peak = min(speed_mps, math.sqrt(abs(distance) * accel_mps2))
    ramp_s = peak / accel_mps2
    cruise_s = (abs(distance) - peak * ramp_s) / peak if peak else 0.0
    phases = (Phase(ramp_s, way * accel_mps2), Phase(max(cruise_s, 0.0), 0.0), Phase(ramp_s, -way * accel_mps2))
    return replace(
        motion,
        target_m=target_m,
        end_m=target_m,
        accel_mps2=accel_mps2,
        phases=tuple(phase for phase in phases if phase.duration_s > 0),
    )


def brake(motion: Motion, decel_mps2: float) -> Motion:
    """Come to rest at `decel_mps2` from whatever speed there is."""
    speed = motion.speed_mps
    if speed == 0:
        return replace(motion, phases=(), end_m=motion.position_m)
    end_m = motion.position_m + math.copysign(speed * speed / (2 * decel_mps2), speed)
    return replace(motion, end_m=end_m, phases=(Phase(abs(speed) / decel_mps2, -math.copysign(decel_mps2, speed)),))


def advance(motion: Motion, now_s: float) -> Motion:
    """The state at `now_s`; a time in the past changes nothing."""
    left_s = now_s - motion.at_s
    if left_s <= 0:
        return motion
    position, speed, moving_s, travelled_m = motion.position_m, motion.speed_mps, 0.0, 0.0
    phases = list(motion.phases)
    while phases and left_s > 0:
        phase = phases.pop(0)
        step_s = min(left_s, phase.duration_s)
        way_m = speed * step_s + 0.5 * phase.accel_mps2 * step_s * step_s
        position, speed = position + way_m, speed + phase.accel_mps2 * step_s
        moving_s, travelled_m, left_s = moving_s + step_s, travelled_m + abs(way_m), left_s - step_s
        if step_s < phase.duration_s:
            phases.insert(0, replace(phase, duration_s=phase.duration_s - step_s))
    if motion.phases and not phases:
        position, speed = motion.end_m, 0.0
    moved = replace(motion, at_s=now_s, position_m=position, speed_mps=speed, phases=tuple(phases))
    drained = motion.battery_percent - DRAIN_PERCENT_PER_S * moving_s - DRAIN_PERCENT_PER_M * travelled_m
    rest_rate = CHARGE_PERCENT_PER_S if moved.docked else -DRAIN_PERCENT_PER_S
    # Emptied on the way is empty: charging afterwards starts from 0, not from a debt.
    return replace(moved, battery_percent=min(max(max(drained, 0.0) + rest_rate * max(left_s, 0.0), 0.0), 100.0))
