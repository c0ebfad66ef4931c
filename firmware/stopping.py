"""Robots that this process has told to stop and whose latch is not written down yet: they get no motion from here.

Entered before the wire, left only when the latch has been committed: a database that is away keeps the door shut.
"""

import threading
from collections import Counter
from collections.abc import Iterable

from firmware import spool
from firmware.models import Robot, RobotState

_lock = threading.Lock()
_pending: Counter[str] = Counter()


def begin(slugs: Iterable[str]) -> None:
    with _lock:
        _pending.update(slugs)


def committed(slugs: Iterable[str]) -> None:
    with _lock:
        _pending.subtract(slugs)
        for slug in [slug for slug, count in _pending.items() if count <= 0]:
            del _pending[slug]


def is_pending(slug: str) -> bool:
    return slug in _pending


def is_stopped(robot: Robot) -> bool:
    """Whether it has been told to stop, here or by another process: asked right before something is sent that may move it.

    While a stop waits in the spool nobody knows which robots others were told to stop, so it is yes for all.
    """
    return (
        is_pending(robot.slug)
        or spool.is_waiting(robot.slug)
        or RobotState.objects.filter(robot=robot, stop_latched=True).exists()
    )
