"""Brings stops in from the spool: what a process that died, or a database that was away, left on the disk."""

import structlog

from accounts import journal
from firmware import spool, stop
from firmware.models import Robot

log = structlog.get_logger(__name__)


def bring_in() -> int:
    """Latch and journal what nobody has written down; how many presses there were. Raises DatabaseError.

    A robot is not stopped again by that: its latch says that its stop is not confirmed, and the poll loop sees to it.
    """
    count = 0
    for press, entry in spool.orphans():
        robots = list(Robot.objects.filter(slug__in=press.robots))
        results = [stop.StopResult(robot, press.began_at) for robot in robots]
        if results and not stop.latch(results, press, late=True):
            entry.let_go()
            return count
        if not results:  # none of them is there any more; the press is told all the same
            about = {"robots": press.robots, "by": press.by, "at": press.began_at}
            journal.record("stop.requested", reason=press.reason, data=about | {"late": True}, origin=press.origin)
        entry.drop()
        count += 1
        log.info("spool.brought_in", robots=press.robots, by=press.by)
    return count
