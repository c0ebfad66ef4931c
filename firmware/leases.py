"""How several poll processes share a fleet: each robot is leased by one of them, in the database."""

import math
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from firmware import presence
from firmware.models import Poller, PollLease, Robot

LEASE_FOR = timedelta(seconds=10)


def hold_share(owner: str, now: datetime) -> set[int]:
    """Say that `owner` lives, renew its leases, take or give back until it has its fair share. Returns its robots' ids.

    One short transaction: on SQLite every write of its own would queue behind the batches of the writer again.
    """
    others = Poller.objects.exclude(name=owner).values_list("name", flat=True)
    gone = [name for name in others if presence.is_gone(name)]
    # a stop that is not confirmed is seen through, on a disabled robot, too
    wanted = Robot.objects.filter(Q(enabled=True) | Q(state__stop_latched=True), retired_at=None)
    _make_missing(wanted, now)
    with transaction.atomic():
        Poller.objects.update_or_create(name=owner, defaults={"seen_at": now})
        Poller.objects.filter(Q(name__in=gone) | Q(seen_at__lt=now - 6 * LEASE_FOR)).delete()
        PollLease.objects.filter(owner__in=gone).update(owner="", until=now)
        PollLease.objects.exclude(robot__in=wanted).delete()  # a robot that nobody reads has no lease
        PollLease.objects.filter(owner=owner).update(until=now + LEASE_FOR)
        living = Poller.objects.filter(seen_at__gt=now - LEASE_FOR).count()
        return _balance(owner, now, wanted, math.ceil(wanted.count() / max(1, living)))


def _balance(owner: str, now: datetime, wanted: QuerySet[Robot], share: int) -> set[int]:
    """Give back what is over the share, or take what is free up to it."""
    mine = set(PollLease.objects.filter(owner=owner).values_list("robot_id", flat=True))
    if len(mine) > share:
        surplus = sorted(mine)[share:]
        PollLease.objects.filter(owner=owner, robot_id__in=surplus).update(owner="", until=now)
        return mine - set(surplus)
    free = Q(owner="") | Q(until__lt=now) | Q(until__gt=now + 3 * LEASE_FOR)  # the last: the clock was set back
    takeable = PollLease.objects.filter(free, robot__in=wanted).order_by("robot_id").values_list("robot_id", flat=True)
    for robot_id in takeable[: share - len(mine)]:
        if PollLease.objects.filter(free, robot_id=robot_id).update(owner=owner, until=now + LEASE_FOR) == 1:
            mine.add(robot_id)
    return mine


def _make_missing(wanted: QuerySet[Robot], now: datetime) -> None:
    for robot_id in wanted.filter(poll_lease=None).values_list("pk", flat=True):
        try:
            with transaction.atomic():
                PollLease.objects.create(robot_id=robot_id, owner="", until=now)
        except IntegrityError:
            continue  # another poll process was first


def release(owner: str, now: datetime) -> None:
    """Give everything back, so that others need not wait for the leases to end."""
    PollLease.objects.filter(owner=owner).update(owner="", until=now)
    Poller.objects.filter(name=owner).delete()
