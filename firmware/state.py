"""The state document of a robot: what the API answers and what sockets get. Made from one row, with `now`."""

from datetime import datetime
from typing import Any

from accounts.journal import iso
from firmware import fallback, link, profile
from firmware.language.kind import Profile
from firmware.language.words import MACHINE_STATE
from firmware.models import Command, Robot, RobotState
from firmware.moments import is_ahead

NUMBER_SHOWN_S = 300.0
LATCH_FORBIDS = ("motion", "config", "register")  # a stopped robot is left as it is


def live_for_s(robot: Robot, spec: Profile, name: str | None = None) -> float:
    """How long a value counts as live: two intervals of the slowest read that may give it, and a second."""
    reads = [spec.reads[name] for name in (spec.field_reads[name] if name else [spec.state_read])]
    return max(read.live_for_s or 2 * (read.every_s or robot.poll_interval_s) + 1 for read in reads)


def contacts(robot: Robot, row: RobotState, spec: Profile, now: datetime) -> fallback.Contacts:
    seen_at = None if is_ahead(row.last_contact_at, now) else row.last_contact_at
    return fallback.Contacts(seen_at, row.failures, row.successes, live_for_s(robot, spec))


def mode(robot: Robot, row: RobotState, spec: Profile, now: datetime) -> fallback.Mode:
    """The mode as it is now, not as it was when somebody last wrote it down."""
    return fallback.next_mode(row.recorded_mode, contacts(robot, row, spec, now), now)


def reading(robot: Robot, row: RobotState, spec: Profile, name: str, now: datetime) -> dict[str, Any]:
    """`{"value","unit","observed_at","age_s","quality","live_for_s"}`; no value stands in for a missing one."""
    field = spec.fields[name]
    value, observed_at = row.observed(name)
    for other in field.rests_on if observed_at else ():
        at = row.observed(other)[1]
        observed_at = min(observed_at, at) if observed_at and at else None
    life = live_for_s(robot, spec, name)
    about = {"live_for_s": life, "title": field.title or name, "tile": field.tile}
    return reading_shape(value, field.unit, observed_at, life, now) | about


def reading_shape(
    value: Any, unit: str | None, observed_at: datetime | None, life_s: float, now: datetime
) -> dict[str, Any]:
    """`{"value","unit","observed_at","age_s","quality"}`: live up to `life_s`; after five minutes a number is none any more."""
    if observed_at is None or is_ahead(observed_at, now):
        return {"value": None, "unit": unit, "observed_at": None, "age_s": None, "quality": "never"}
    age_s = max(0.0, (now - observed_at).total_seconds())
    too_old = age_s > NUMBER_SHOWN_S and isinstance(value, int | float) and not isinstance(value, bool)
    quality = "never" if value is None else "live" if age_s <= life_s else "stale"
    return {
        "value": None if too_old else value,
        "unit": unit,
        "observed_at": iso(observed_at),
        "age_s": round(age_s, 3),
        "quality": quality,
    }


def stop_shape(row: RobotState) -> dict[str, Any]:
    return {
        "latched": row.stop_latched,
        "status": row.stop_status,
        "by": row.stop_by,
        "at": iso(row.stop_at),
        "reason": row.stop_reason,
        "sent_at": iso(row.stop_sent_at),
        "confirmed_at": iso(row.stop_confirmed_at),
        "left_at": iso(row.stop_left_at),
        "attempts": row.stop_attempts,
    }


def lease_shape(row: RobotState, now: datetime) -> dict[str, Any]:
    """`{"holder","since","until"}`: who holds control; all null when nobody does."""
    if not row.leased(now):
        return {"holder": None, "since": None, "until": None}
    return {"holder": row.lease_holder, "since": iso(row.lease_since), "until": iso(row.lease_until)}


def document(robot: Robot, row: RobotState, now: datetime) -> dict[str, Any]:
    """The whole state, the same for everybody; `commands` names only causes that hold for all."""
    spec = profile.load_or_unusable(robot.profile)
    shown = [name for name, field in spec.fields.items() if field.shown and name != MACHINE_STATE]
    return _head(robot, row, spec, now) | {
        "readings": {name: reading(robot, row, spec, name, now) for name in shown},
        "commands": {
            name: forbidden(robot, row, spec, command.kind, command.states, name, now)
            for name, command in spec.commands.items()
        },
        "reset": reset_shape(robot, row, spec, now),
    }


def tile(document_: dict[str, Any]) -> dict[str, Any]:
    """What a fleet page needs of a document."""
    kept = {key: value for key, value in document_.items() if key not in ("commands", "reset")}
    return kept | {"readings": {name: value for name, value in document_["readings"].items() if value["tile"]}}


def _head(robot: Robot, row: RobotState, spec: Profile, now: datetime) -> dict[str, Any]:
    return {
        "robot": robot.slug,
        "name": robot.name,
        "site": robot.site.name if robot.site else None,
        "place": robot.place or None,
        "rail_m": [robot.site.rail_start_m, robot.site.rail_end_m] if robot.site else None,
        "profile": robot.profile,
        "simulated": robot.simulated,
        "enabled": robot.enabled,
        "seq": row.seq,
        "at": iso(now),
        "mode": mode(robot, row, spec, now),
        "machine_state": reading(robot, row, spec, MACHINE_STATE, now),
        "stop": stop_shape(row),
        "lease": lease_shape(row, now),
        "sequence": row.sequence,
        "approvals_waiting": row.approvals_waiting,
        "link": {
            "score": link_shape(robot, row, spec, now)["score"],
            "breaker": link.breaker_shape(row.breaker, now),
            "latency_ms": link.latency_ms(row.recent),
            "last_contact_at": iso(row.last_contact_at),
            "live_for_s": live_for_s(robot, spec),
            "offline_after_s": fallback.OFFLINE_AFTER_S,
            "failures": row.failures,
            "last_error": row.last_error or None,
            "last_error_code": row.last_error_code or None,
            "restarted_at": iso(row.restarted_at),
        },
    }


def link_shape(robot: Robot, row: RobotState, spec: Profile, now: datetime) -> dict[str, Any]:
    """How well the robot can be reached, and what that rests on: `robots/{slug}/link/`."""
    current = mode(robot, row, spec, now)
    facts = link.Facts(
        current, row.breaker, row.recent, row.failures, row.last_error_code, row.restarted_at, row.clock_offset_s
    )
    found = link.deductions(facts, now)
    return {
        "robot": robot.slug,
        "mode": current,
        "score": 100 - sum(one["points"] for one in found),
        "deductions": found,
        "breaker": link.breaker_shape(row.breaker, now),
        "latency_ms": link.latency_ms(row.recent),
        "error_rate": link.error_rate(row.recent),
        "requests": len(row.recent),
        "consecutive_failures": row.failures,
        "last_success_at": iso(row.last_success_at),
        "last_contact_at": iso(row.last_contact_at),
        "last_error": row.last_error or None,
        "last_error_code": row.last_error_code or None,
        "clock_offset_s": row.clock_offset_s,
        "restarted_at": iso(row.restarted_at),
        "frozen": row.last_error_code == "frozen",
        "live_for_s": live_for_s(robot, spec),
        "offline_after_s": fallback.OFFLINE_AFTER_S,
        "at": iso(now),
    }


def forbidden(
    robot: Robot, row: RobotState, spec: Profile, kind: fallback.Kind, states: list[str], name: str, now: datetime
) -> dict[str, Any]:
    """`{"allowed","code","reason"}` for an order of a kind, by causes that hold for everybody."""
    current = mode(robot, row, spec, now)
    machine = reading(robot, row, spec, MACHINE_STATE, now)
    if not robot.enabled:
        return _no("robot_disabled", "The robot is disabled.")
    if row.stop_latched and kind in LATCH_FORBIDS:
        return _no("stop_latched", "The robot is stopped: reset first.")
    if kind in LATCH_FORBIDS and row.resetting_until is not None and row.resetting_until > now:
        return _no("stop_latched", "The robot is being reset; wait until that is over.")
    if kind != "stop" and row.breaker.state(now) != "closed":
        return _no("circuit_open", link.words(row.breaker))
    if kind not in fallback.ALLOWED[current]:
        return _no(
            "mode_forbids", f"The robot is {current}. {fallback.why(current, contacts(robot, row, spec, now), now)}"
        )
    if kind == "motion" and machine["quality"] != "live":
        return _no("state_forbids", "The robot's state is not live; motion needs to know it.")
    if states and machine["value"] not in states:
        known = machine["value"] if machine["value"] not in (None, "unknown") else "in an unknown state"
        return _no(
            "state_forbids",
            f"The robot is {known}; {name} needs {' or '.join(states)}.",
        )
    return {"allowed": True, "code": None, "reason": None}


def reset_shape(robot: Robot, row: RobotState, spec: Profile, now: datetime) -> dict[str, Any]:
    """Whether there is a stop to leave."""
    if spec.reset is None:
        return (
            _no("no_reset", "This kind of robot offers no reset.")
            if not row.stop_latched
            else {"allowed": True, "code": None, "reason": None}
        )
    machine = reading(robot, row, spec, MACHINE_STATE, now)
    if row.stop_latched or machine["value"] in spec.reset.from_states:
        return {"allowed": True, "code": None, "reason": None}
    return _no("not_stopped", "The robot is not stopped.")


def _no(code: str, reason: str) -> dict[str, Any]:
    return {"allowed": False, "code": code, "reason": reason}


def command_shape(command: Command) -> dict[str, Any]:
    """A command as the API and the page show it."""
    return {
        "id": command.pk,
        "robot": command.robot.slug,
        "name": command.name,
        "params": command.params,
        "status": command.status,
        "code": command.code,
        "detail": command.detail,
        "reason": command.reason,
        "requested_by": command.requested_by.get_username() if command.requested_by else None,
        "request_id": command.request_id,
        "created_at": iso(command.created_at),
        "deadline_at": iso(command.deadline_at),
        "sent_at": iso(command.sent_at),
        "answered_at": iso(command.answered_at),
        "ended_at": iso(command.ended_at),
        "done_at": iso(command.done_at),
        "attempts": command.attempts,
        "job": command.job or None,
        "sequence": command.sequence_id,
        "step": command.step,
        "approved_by": command.approved_by or None,
        "approved_at": iso(command.approved_at),
        "resolved": {"at": iso(command.resolved_at), "by": command.resolved_by or None, "note": command.resolution}
        if command.resolved_at
        else None,
    }
