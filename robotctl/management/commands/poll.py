"""`manage.py poll`: the supervised process that reads the robots."""

import contextlib
import signal
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.db import DatabaseError

from accounts import context, journal, lifecycle
from accounts.sealing import Sealing
from firmware.drainer import SHUTDOWN_WAIT_S, drainer
from firmware.poller import PollLoop
from monitoring import recording

log = structlog.get_logger("robotctl.poll")


class Command(BaseCommand):
    help = "Reads the robots of this process's share until SIGTERM. Start several to share a fleet."

    def handle(self, *args: Any, **options: Any) -> None:
        context.enter()
        samples = recording.Handover()
        loop = PollLoop(hand_on=samples)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: loop.end())
        lifecycle.started("poll")
        log.info("poll.started", owner=loop.owner)
        sealing = Sealing()
        sealing.start()
        loop.run()
        with contextlib.suppress(DatabaseError):  # the last second of it
            samples.flush()
        sealing.end()
        left = drainer.wait(SHUTDOWN_WAIT_S)
        if left:  # closing now may harm these robots; there is nothing better left to do
            journal.record("link.abandoned", "poll", outcome=journal.Outcome.UNKNOWN, data={"sockets": left})
        lifecycle.stopped("poll")
        log.info("poll.stopped", owner=loop.owner)
        if loop.failed:
            raise SystemExit(1)  # the supervisor starts it again
