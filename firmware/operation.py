"""What a person decides about a robot's link: to have it asked again, to take it out of operation and give it back."""

from django.utils import timezone

from accounts import journal
from firmware.models import Robot, Transition
from firmware.recorder import changing, close_breaker


def reset_breaker(robot: Robot, *, reason: str) -> None:
    """A person closes the breaker: the robot is asked again at once, and opens it anew if it still says nothing.

    What is known of the robot stays: only an answer makes a link better.
    """
    with changing([robot.pk]) as rows:
        row = rows[robot.pk]
        told = close_breaker(row, reason)
        journal.record_all(told or [journal.entry("breaker.reset", robot.slug, robot=robot.slug, reason=reason)])


def set_maintenance(robot: Robot, *, on: bool, reason: str) -> None:
    """A person takes the robot out of operation, or gives it back: then it comes back by steps, like one that was away.

    Only a person changes this mode; nothing is sent to the robot.
    """
    now = timezone.now()
    with changing([robot.pk]) as rows:
        row = rows[robot.pk]
        old = row.recorded_mode
        if (old == "maintenance") is on:
            return
        row.recorded_mode, row.successes = ("maintenance" if on else "recovering"), 0
        Transition.objects.create(robot=robot, at=now, old=old, new=row.recorded_mode, reason=reason[:300])
        data = {"was": old}
        journal.record(f"robot.{row.recorded_mode}", robot.slug, robot=robot.slug, reason=reason, data=data)
