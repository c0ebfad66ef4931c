"""What a clock that was set back leaves in a robot's row: times that have not come yet. They would keep old values fresh, new ones
out, and the robot unasked, for as long as it was set back by; so they go, and are journalled."""

from datetime import datetime, timedelta

from accounts import journal
from accounts.models import JournalEntry
from firmware.breaker import LONGEST_PROBE_S
from firmware.models import RobotState
from firmware.moments import is_ahead, moment

FORGOTTEN = ("last_contact_at", "last_attempt_at", "last_success_at", "restarted_at")
BEGIN_NOW = ("stop_answered_at", "stop_confirmed_at", "breaker_opened_at", "lease_since")
LASTS_AT_MOST = {
    "next_probe_at": timedelta(seconds=LONGEST_PROBE_S),
    "lease_until": timedelta(seconds=120),
    "quiet_until": timedelta(minutes=2),
    "resetting_until": timedelta(seconds=10),
}


def mend(row: RobotState, now: datetime) -> list[JournalEntry]:
    """Take times that cannot be out of `row`. Returns what is to be journalled."""
    ahead = [name for name, (_, at) in row.readings.items() if is_ahead(moment(at), now)]
    for name in ahead:
        del row.readings[name]
    wrong = [name for name in FORGOTTEN if is_ahead(getattr(row, name), now)]
    for name in wrong:
        setattr(row, name, None)
    for name in BEGIN_NOW:
        if is_ahead(getattr(row, name), now):
            setattr(row, name, now)
    for name, longest in LASTS_AT_MOST.items():
        if is_ahead(getattr(row, name), now, by=longest):
            setattr(row, name, now + longest)
    if not (ahead or wrong):
        return []
    slug = row.robot.slug
    reason = "What was known of the robot is dated later than now: the clock was set back. It is read anew."
    data = {"fields": sorted(ahead + wrong)}
    return [
        journal.entry(
            "robot.clock_set_back", slug, robot=slug, outcome=journal.Outcome.UNKNOWN, reason=reason, data=data
        )
    ]
