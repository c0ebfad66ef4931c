"""Times in which a robot answers nobody: a register write keeps its firmware busy for seconds, and polling steps aside."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.utils import timezone

from firmware.models import RobotState

LONGEST = timedelta(minutes=2)  # a time further off was written by a clock that was set back since
NOTICED_WITHIN_S = 0.3  # how soon the poll process knows; what it has begun until then has its own time-out


@contextmanager
def around(robot_id: int, blocks_s: float) -> Iterator[None]:
    """Keep polling away from the robot while it is busy, at most twice as long as its profile says."""
    if not blocks_s:
        yield
        return
    row = RobotState.objects.filter(robot_id=robot_id)
    row.update(quiet_until=timezone.now() + timedelta(seconds=2 * blocks_s + NOTICED_WITHIN_S))
    time.sleep(NOTICED_WITHIN_S)
    try:
        yield
    finally:
        row.update(quiet_until=None)


def robots() -> set[int]:
    """The robots that are not to be polled now: one query."""
    now = timezone.now()
    return set(
        RobotState.objects.filter(quiet_until__gt=now, quiet_until__lt=now + LONGEST).values_list("robot_id", flat=True)
    )
