"""Whether a robot has started anew, by its counters and its uptime."""

from datetime import timedelta
from typing import Any

from accounts import journal
from accounts.models import JournalEntry
from firmware.client import Observation
from firmware.language.kind import Profile
from firmware.models import RobotState
from firmware.moments import moment

BOOT_MOVED_S = 3.0
RESTART_TOLD_FOR = timedelta(seconds=20)  # several counters tell of the same restart


def restarts(row: RobotState, spec: Profile, seen: Observation) -> list[JournalEntry]:
    """A counter that only a restart takes back has fallen, or the robot has been up for less time than has passed."""
    lately = row.restarted_at is not None and moment(seen.began_at) - row.restarted_at < RESTART_TOLD_FOR
    for name, value in seen.values.items():
        field, before = spec.fields.get(name), row.readings.get(name)  # the profile may have changed
        if field is None or before is None or before[1] >= seen.began_at:
            continue
        fell = field.restart_when_falling and value < before[0]
        if fell or (field.uptime and _booted_between(before, value, seen.began_at)):
            if lately and name in row.restart_told_by:
                lately = False  # the same counter again: it is another restart
            row.restart_told_by = [*(row.restart_told_by if lately else []), name]
            if lately:
                return []
            row.restarted_at = moment(seen.began_at)
            slug = row.robot.slug
            return [journal.entry("robot.restarted", slug, robot=slug, data={name: [before[0], value]})]
    return []


def _booted_between(before: list[Any], uptime_s: float, at: float) -> bool:
    """Whether the moment of boot has moved: uptimes are rounded, and a robot's clock may be a little slow."""
    if uptime_s == before[0]:
        return False  # it stands still: frozen, not restarted
    moved_s = (at - uptime_s) - (before[1] - before[0])
    return bool(moved_s > max(BOOT_MOVED_S, 0.05 * (at - before[1])))
