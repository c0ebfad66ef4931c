"""Reading a robot back after it was told something: only what is read after the answer counts."""

import time

from firmware.client import RobotClient
from firmware.orders import Look, Order

FIRST_PAUSE_S = 0.03
LONGEST_PAUSE_S = 0.25
CLOCK_GRAIN_S = 0.002  # robots tell times in milliseconds


def watch(order: Order, client: RobotClient) -> Look:
    """Look until the robot shows that it obeys, and, where the profile asks for it, still does after `holds_s`; or until the
    window closes."""
    assert order.look is not None
    until, pause_s = time.monotonic() + order.confirm_within_s, FIRST_PAUSE_S
    shown_since: float | None = None
    beats: dict[str, set[str]] = {}
    since = time.time() - CLOCK_GRAIN_S  # what the robot took before does not count, whenever it is read
    while True:
        began = time.monotonic()
        look = order.look(client, since)
        for one in look.seen:
            beats.setdefault(one.read, set()).add(repr(one.beat))
        shown_since = (shown_since or began) if look.shown else None
        if shown_since is not None and began - shown_since >= order.holds_s:
            return look
        last = until if shown_since is None else max(until, shown_since + order.holds_s + LONGEST_PAUSE_S)
        if time.monotonic() + pause_s > last:
            return Look(look.seen, False, look.heard and all(map(_beats, beats.values())))
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _beats(seen: set[str]) -> bool:
    """Whether a read's heartbeat went on (or it has none): values that stand still tell of nothing that happened."""
    return seen == {"None"} or len(seen) > 1
