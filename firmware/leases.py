"""How several poll processes share a fleet: each robot is leased by one of them, in the database."""

import math
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q

from firmware.models import Poller, PollLease, Robot

LEASE_FOR = timedelta(seconds=10)


def hold_share(owner: str, now: datetime) -> set[int]:
    """Say that `owner` lives, renew its leases, take or give back until it has its fair share. Returns its robots' ids."""
    Poller.objects.update_or_create(name=owner, defaults={"seen_at": now})
    Poller.objects.filter(seen_at__lt=now - 6 * LEASE_FOR).delete()
    until = now + LEASE_FOR
    _make_missing(now)
    # a stop that is not confirmed is seen through, on a disabled robot, too
    wanted = Robot.objects.filter(Q(enabled=True) | Q(state__stop_latched=True), retired_at=None)
    PollLease.objects.filter(owner=owner).exclude(robot__in=wanted).update(owner="", until=now)
    PollLease.objects.filter(owner=owner).update(until=until)
    living = Poller.objects.filter(seen_at__gt=now - LEASE_FOR).count()
    share = math.ceil(wanted.count() / max(1, living))
    mine = set(PollLease.objects.filter(owner=owner).values_list("robot_id", flat=True))
    if len(mine) > share:
        surplus = sorted(mine)[share:]
        PollLease.objects.filter(owner=owner, robot_id__in=surplus).update(owner="", until=now)
        return mine - set(surplus)
    free = Q(owner="") | Q(until__lt=now)
    for robot_id in PollLease.objects.filter(free, robot__in=wanted).values_list("robot_id", flat=True)[
        : share - len(mine)
    ]:
        if PollLease.objects.filter(free, robot_id=robot_id).update(owner=owner, until=until) == 1:
            mine.add(robot_id)
    return mine


def _make_missing(now: datetime) -> None:
    for robot_id in Robot.objects.filter(poll_lease=None).values_list("pk", flat=True):
        try:
            with transaction.atomic():
                PollLease.objects.create(robot_id=robot_id, owner="", until=now)
        except IntegrityError:
            continue  # another poll process was first


def release(owner: str, now: datetime) -> None:
    """Give everything back, so that others need not wait for the leases to end."""
    PollLease.objects.filter(owner=owner).update(owner="", until=now)
    Poller.objects.filter(name=owner).delete()
