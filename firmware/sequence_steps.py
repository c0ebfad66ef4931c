"""What becomes of a sequence now: it waits for its step, goes on to the next, or ends. Everything that takes the robot out of
its hands ends it: a stop, another order, another's control, a lost link, a restart, or nobody looking after it for a while."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from firmware import fallback, interruptions, profile, state
from firmware.language.words import MACHINE_STATE
from firmware.models import Command, CommandStatus, RobotState, Sequence
from firmware.moments import is_ahead

RESTS_FOR = timedelta(seconds=3)
SETTLES_FOR = timedelta(milliseconds=150)  # firmware reads idle for up to 100 ms before it reads stopped
GOES_ON_WITHIN = timedelta(seconds=15)
Status = Sequence.Status


@dataclass(frozen=True)
class End:
    """How a sequence ends, and why in words."""

    status: str
    code: str | None
    detail: str


def verdict(made: Sequence, row: RobotState, now: datetime) -> End | Literal["wait", "next"]:
    """Two queries: the step's command, and whether another order came after it."""
    command = Command.objects.filter(sequence=made, step=made.step).first()
    if command is None:
        return _failed(made, "internal_error", "its command is missing")
    return _taken_away(made, command, row, now) or _of_step(made, command, row, now)


def _taken_away(made: Sequence, command: Command, row: RobotState, now: datetime) -> End | None:
    """What has come between."""
    if row.stop_latched:
        return _failed(made, "stop_latched", "the robot was stopped")
    later = Command.objects.filter(robot=made.robot, pk__gt=command.pk, kind__in=("motion", "stop")).first()
    if later is not None:
        return _failed(made, "superseded", f"the robot was told something else ({later})")
    if made.watched_until < now or is_ahead(made.step_began_at, now):
        return _failed(made, "not_watched", "nobody looked after it for a while, and a robot does not go on late")
    if not (row.leased(now) and row.lease_user_id == made.requested_by_id):
        words = "somebody else holds control" if row.leased(now) else "control was given back or broken"
        return _failed(made, "lease_lost", words.rstrip("."))
    if row.resetting_until is not None and row.resetting_until > now:
        return _failed(made, "reset", "the robot is being reset")
    machine, _ = row.observed(MACHINE_STATE)
    if interruptions.is_out_of_action(profile.load_or_unusable(row.robot.profile), machine):
        return _failed(made, "state_forbids", f"the robot is {machine}")
    mode = _mode(row, now)
    if mode in ("offline", "maintenance"):
        return _failed(made, "mode_forbids", f"the robot is {mode}")
    if row.restarted_at is not None and row.restarted_at > made.step_began_at:
        return _failed(made, "restarted", "the robot has restarted")
    return None


def _of_step(made: Sequence, command: Command, row: RobotState, now: datetime) -> End | Literal["wait", "next"]:
    """How the step's own command stands."""
    if command.ended_at is None:
        return "wait"
    if command.status != CommandStatus.CONFIRMED:
        words = f"it came to {command.status.replace('_', ' ')}. {command.detail}"
        return _failed(made, command.code or command.status, words)
    spec = profile.load_or_unusable(row.robot.profile).commands.get(command.name)
    if spec is None:
        return _failed(made, "bad_profile", "its profile knows that command no more")
    if command.code in ("job_failed", "interrupted"):
        return _failed(made, command.code, command.detail)
    done_at = command.done_at or (None if spec.done or spec.job else command.ended_at)
    if done_at is not None:
        return _when_done(made, row, done_at, now)
    if made.rests_since is not None and now - made.rests_since > RESTS_FOR:
        return _failed(made, "not_done", "the robot obeyed, and has come to rest without being done")
    if now > made.step_began_at + timedelta(seconds=made.step_within_s):
        return _failed(
            made, "not_done", f"the robot obeyed, but was not seen to be done within {made.step_within_s:g} s"
        )
    return "wait"


def rests_since(made: Sequence, row: RobotState, now: datetime) -> datetime | None:
    """Since when the robot reads a state out of which the step could be begun, although it has been; None: it does not."""
    name = made.steps[made.step]["name"]
    spec = profile.load_or_unusable(row.robot.profile).commands.get(name)
    machine, at = row.observed(MACHINE_STATE)
    confirmed_at = made.commands.filter(step=made.step, done_at=None).values_list("ended_at", flat=True).first()
    if spec is None or spec.job is not None or confirmed_at is None or at is None:
        return None
    return (made.rests_since or now) if machine in spec.states and at > confirmed_at else None


def _when_done(made: Sequence, row: RobotState, done_at: datetime, now: datetime) -> End | Literal["wait", "next"]:
    """A link that is bad for a moment is waited for, not longer. One read is not believed alone: a robot whose hardware stop was
    just pressed may read idle at its target before it reads stopped, so a later read has to say the same (see `_taken_away`)."""
    if made.step + 1 == len(made.steps):
        return "next"
    mode = _mode(row, now)
    if "motion" in fallback.ALLOWED[mode]:
        _, at = row.observed(MACHINE_STATE)
        return "next" if at is None or at > done_at + SETTLES_FOR else "wait"
    if now - done_at > GOES_ON_WITHIN:
        return _failed(made, "mode_forbids", f"it is done, but the robot is {mode}")
    return "wait"


def _mode(row: RobotState, now: datetime) -> fallback.Mode:
    return state.mode(row.robot, row, profile.load_or_unusable(row.robot.profile), now)


def _failed(made: Sequence, code: str, words: str) -> End:
    name = made.steps[made.step]["name"]
    return End(Status.FAILED, code, f"Step {made.step + 1} of {len(made.steps)} ({name}): {words.rstrip('.')}."[:500])
