"""How well a robot can be reached, and what that allows. Pure: facts and `now` in, verdict out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Mode = Literal["online", "degraded", "offline", "recovering", "maintenance"]
Kind = Literal["read", "motion", "stop", "config", "register"]

OFFLINE_AFTER_S = 10.0
DEGRADED_AFTER_FAILURES = 2
RECOVERED_AFTER_SUCCESSES = 3

ALLOWED: dict[Mode, frozenset[Kind]] = {
    "online": frozenset({"read", "motion", "stop", "config", "register"}),
    "degraded": frozenset({"read", "stop"}),
    "recovering": frozenset({"read", "stop"}),
    "offline": frozenset({"stop"}),
    "maintenance": frozenset({"read", "stop", "config", "register"}),
}


@dataclass(frozen=True)
class Contacts:
    """What is known of the contact with a robot. `failures` and `successes` are consecutive."""

    last_contact_at: datetime | None
    failures: int
    successes: int
    live_for_s: float  # how long one reading counts as live


def next_mode(current: str, contacts: Contacts, now: datetime) -> Mode:
    """The mode now, given the one before: a robot that was away comes back by steps."""
    if current == "maintenance":
        return "maintenance"
    if contacts.last_contact_at is None or now - contacts.last_contact_at >= timedelta(seconds=OFFLINE_AFTER_S):
        return "offline"
    late = now - contacts.last_contact_at > timedelta(seconds=contacts.live_for_s)
    if late or contacts.failures >= DEGRADED_AFTER_FAILURES:
        return "degraded"
    if current in ("offline", "recovering") and contacts.successes < RECOVERED_AFTER_SUCCESSES:
        return "recovering"
    if current == "degraded" and contacts.failures:
        return "degraded"
    return "online"


def why(mode: Mode, contacts: Contacts, now: datetime) -> str:
    """The mode in words."""
    if mode == "offline":
        if contacts.last_contact_at is None:
            return "The robot has never answered."
        return f"No contact for {(now - contacts.last_contact_at).total_seconds():.0f} s."
    if mode == "degraded":
        return "The robot does not answer as it should." if contacts.failures else "Contact is late."
    if mode == "recovering":
        return "The robot answers again."
    return "The robot is in maintenance." if mode == "maintenance" else "The robot answers."
