"""When a robot is read next: each read at its own interval, and a robot whose breaker is open only now and then."""

import time
from dataclasses import dataclass, field

from django.utils import timezone

from firmware import breaker
from firmware.client import RobotClient
from firmware.models import Robot, RobotState


@dataclass
class Schedule:
    """One robot: its client, and when each read is due (monotonic)."""

    robot: Robot
    client: RobotClient
    wiring: tuple[str, ...]  # what the client was built from
    due: dict[str, float] = field(default_factory=dict)
    busy: bool = False
    # Monotonic. While its breaker is open the robot is left alone until then, and then asked for its state.
    probe_at: float | None = None

    def intervals(self) -> dict[str, float]:
        return {name: read.every_s or self.robot.poll_interval_s for name, read in self.client.profile.reads.items()}

    def take_due(self, now: float) -> list[str]:
        """The reads that are due; each is due again one interval later, missed ones are not made up for."""
        if self.probe_at is not None:
            return self._probe(now)
        taken = []
        for name, interval in self.intervals().items():
            at = self.due.setdefault(name, now)
            if at <= now:
                taken.append(name)
                self.due[name] = at + interval if at + interval > now else now + interval
        return taken

    def _probe(self, now: float) -> list[str]:
        """The one read that tells whether it is back. Until the answer is written down, there is no second."""
        if self.probe_at is None or now < self.probe_at:
            return []
        self.probe_at = now + breaker.LONGEST_PROBE_S
        return [self.client.profile.state_read]

    def next_at(self) -> float:
        """When something of it is due next (monotonic)."""
        return self.probe_at if self.probe_at is not None else min(self.due.values())

    def hold_back(self, row: RobotState, *, stop_stands: bool) -> None:
        """Follow its breaker; a stop that is not confirmed is read and repeated at the robot's own pace all the same."""
        if row.next_probe_at is None or stop_stands:
            self.probe_at = None
        else:
            pause_s = (row.next_probe_at - timezone.now()).total_seconds()
            self.probe_at = time.monotonic() + min(pause_s, breaker.LONGEST_PROBE_S)  # whatever became of the clock
