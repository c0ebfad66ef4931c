"""Stop tickets: an open page sends one with a stop, so that nothing has to be looked up before the robot is told.

Reading one needs no database, cache or bus: the signature, the time, and what this process remembers of revocations.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core import signing
from django.utils import timezone

from accounts.models import Grant, StopRevocation, User

LIFETIME_S = 3600
SETTLES_S = 1.0
SALT = "robotctl.stop-ticket"  # a key of its own is derived for it

_revoked: dict[int | None, float] = {}  # user (None: everybody) → tickets issued before are void (epoch s)


@dataclass(frozen=True)
class StopTicket:
    """Who may stop what. `slugs` None: every robot."""

    user_id: int
    username: str
    slugs: frozenset[str] | None

    def allows(self, slug: str) -> bool:
        return self.slugs is None or slug in self.slugs


def issue(user: User, slugs: Iterable[str] | None) -> tuple[str, datetime]:
    """A signed ticket, and when it ends: in an hour, or with the first of the person's grants that ends."""
    now = timezone.now()
    ends = now + timedelta(seconds=LIFETIME_S)
    if user.signed_in_until is not None:
        ends = min(ends, user.signed_in_until)
    if slugs is not None:
        held = Grant.objects.active(now).held_by(user).filter(ends_at__lt=ends).order_by("ends_at")
        ends = held.values_list("ends_at", flat=True).first() or ends
    told = {
        "u": user.pk,
        "n": user.get_username(),
        "s": None if slugs is None else sorted(slugs),
        "t": now.timestamp(),
        "e": ends.timestamp(),
    }
    return signing.Signer(salt=SALT).sign_object(told, compress=True), ends


def read(clear: str) -> StopTicket | None:
    """The ticket, if it is good; else None."""
    try:
        told: dict[str, Any] = signing.Signer(salt=SALT).unsign_object(clear)
        issued_at, ends_at = float(told["t"]), float(told["e"])
        slugs = None if told["s"] is None else frozenset(told["s"])
    except (signing.BadSignature, ValueError, KeyError, TypeError):
        return None
    revoked_at = max(_revoked.get(told["u"], 0.0), _revoked.get(None, 0.0))
    if time.time() > ends_at or issued_at <= revoked_at:
        return None
    return StopTicket(told["u"], told["n"], slugs)


def learn_revocations() -> None:
    """Remember whose tickets are void. Raises DatabaseError."""
    global _revoked
    oldest = timezone.now() - timedelta(seconds=LIFETIME_S)
    found: dict[int | None, float] = {}
    for user_id, at in StopRevocation.objects.filter(at__gt=oldest).order_by("at").values_list("user_id", "at"):
        found[user_id] = at.timestamp()
    _revoked = found


def revoke(user_ids: Iterable[int | None]) -> None:
    """Make void every ticket of these people (None: of everybody) that was issued until now.

    And a moment longer: one that is being issued meanwhile may still rest on the rights of before.
    """
    now = timezone.now()
    StopRevocation.objects.filter(at__lt=now - timedelta(seconds=LIFETIME_S)).delete()
    until = now + timedelta(seconds=SETTLES_S)
    StopRevocation.objects.bulk_create([StopRevocation(user_id=user_id, at=until) for user_id in user_ids])
