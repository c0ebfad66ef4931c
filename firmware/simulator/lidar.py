"""What a LiDAR on the carriage sees: an aisle with walls to the left and right and an end at either end of the rail."""

import math
import zlib

from firmware.simulator.vehicle import Vehicle

HALF_AISLE_MM = 1500.0
RANGE_MM = 12_000.0
PILLAR_EVERY_MM = 5_000.0
PILLAR_DEPTH_MM = 300.0
SAFE_MM = 500


def distances_mm(vehicle: Vehicle) -> list[int]:
    """360 distances, one a degree, 0 straight ahead towards the far end of the rail."""
    at_mm = vehicle.motion.position_m * 1000
    ahead_mm = (vehicle.settings.rail_m * 1000 - at_mm) + 1000
    behind_mm = at_mm + 1000
    return [_ray_mm(degree, at_mm, ahead_mm, behind_mm, vehicle.settings.seed) for degree in range(360)]


def _ray_mm(degree: int, at_mm: float, ahead_mm: float, behind_mm: float, seed: int) -> int:
    angle = math.radians(degree)
    along, across = math.cos(angle), abs(math.sin(angle))
    end = (ahead_mm / along if along > 0 else behind_mm / -along) if abs(along) > 1e-9 else RANGE_MM
    wall = HALF_AISLE_MM / across if across > 1e-9 else RANGE_MM
    # Pillars stand out of the walls at equal intervals, so that the picture changes as the robot drives by.
    foot_mm = at_mm + wall * along
    if wall < RANGE_MM and foot_mm % PILLAR_EVERY_MM < 400:
        wall = (HALF_AISLE_MM - PILLAR_DEPTH_MM) / across
    # A few millimetres of noise that repeat for equal seed, place and angle.
    noise = zlib.crc32(f"{seed}:{degree}:{round(at_mm)}".encode()) % 11 - 5
    return int(min(end, wall, RANGE_MM)) + noise


def quality(distance_mm: int) -> int:
    """Strength of an echo, 0 to 255, weaker from afar."""
    return max(10, 200 - distance_mm // 80)
