"""Guessing at passwords and codes: after a few failures a name, or an address, waits; each further one doubles the wait.

Axes counts; here it is judged. A lockout is about getting in and nothing else: sessions, tokens and stop tickets go on. Names
are counted as keyed hashes, because people type passwords there, and whether or not somebody has that name.
"""

import threading
from datetime import datetime, timedelta
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.contrib.auth.signals import user_login_failed
from django.db import transaction
from django.db.models import Max, Sum
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts import context, journal
from accounts.models import User

NAME_LIMIT = 5
ADDRESS_LIMIT = 20  # a hall may have one address
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
REMEMBERED = timedelta(days=1)
_turns = [threading.Lock() for _ in range(64)]


def wait_after(failures: int, limit: int) -> timedelta:
    """How long the next attempt has to wait after this many failures."""
    if failures < limit:
        return timedelta(0)
    doublings: int = 2 ** min(failures - limit, 20)
    return min(FIRST_WAIT * doublings, LONGEST_WAIT)


def wait_s(name: str) -> int:
    """How long `name` has to wait at this address before it is asked again; 0: not at all."""
    now = timezone.now()
    ends = [until for until, _, _ in _locks(counted(name), _address(), now)]
    return max((int((until - now).total_seconds()) + 1 for until in ends), default=0)


def turn(name: str) -> threading.Lock:
    """Held while a password or a code is compared: of many guesses at once, each knows of those before it (in this process)."""
    return _turns[int(counted(name)[:8], 16) % len(_turns)]


def failed(request: Any, name: str) -> None:
    """Count a failure that Django's `authenticate` does not know of: a wrong code, a wrong current password."""
    user_login_failed.send(sender=__name__, credentials={"username": name}, request=request)


def forget(name: str) -> int:
    """Its failures are forgotten: it has signed in, or an administrator says so. Returns how many there were."""
    return _delete(username=counted(name))


def unlock(user: User, *, address: str = "") -> None:
    """An administrator lets `user`, and with `address` everybody there, try again at once."""
    with transaction.atomic():
        count = forget(user.username)
        if address:
            count += _delete(ip_address=address)
        journal.record("auth.unlocked", person=user, data={"count": count})


def counted(name: str) -> str:
    return salted_hmac("robotctl.lockout", name, algorithm="sha256").hexdigest()


def counted_name(_: Any, credentials: dict[str, Any] | None) -> str:
    """For axes: AXES_USERNAME_CALLABLE."""
    return counted(str((credentials or {}).get("username", "")))


def address_of(_: Any) -> str | None:
    """For axes: AXES_CLIENT_IP_CALLABLE."""
    return _address() or None


def _address() -> str:
    return context.current().address


def _delete(**which: str) -> int:
    rows = AccessAttempt.objects.filter(**which)
    failures = rows.aggregate(sum=Sum("failures_since_start"))["sum"] or 0
    rows.delete()
    return int(failures)


def _locks(hashed: str, address: str, now: datetime) -> list[tuple[datetime, int, str]]:
    """The locks that hold: until when, after how many failures, of what."""
    found = []
    recent = AccessAttempt.objects.filter(attempt_time__gt=now - REMEMBERED)
    kinds = [("user name", NAME_LIMIT, recent.filter(username=hashed))]
    if address:
        kinds.append(("address", ADDRESS_LIMIT, recent.filter(ip_address=address)))
    for what, limit, rows in kinds:
        seen = rows.aggregate(failures=Sum("failures_since_start"), last=Max("attempt_time"))
        failures = seen["failures"] or 0
        if failures >= limit and (until := seen["last"] + wait_after(failures, limit)) > now:
            found.append((until, failures, what))
    return found


class LockoutHandler(AxesDatabaseHandler):
    """Axes' counting in the database, with waits that grow."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        return bool(_locks(counted_name(request, credentials), _address(), timezone.now()))

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
    ) -> None:
        """Count it, and say so in the journal when a lockout begins. What came during one was not looked at: no guess."""
        if request is None or self.is_locked(request, credentials):
            return
        with transaction.atomic():
            super().user_login_failed(sender, credentials, request, **kwargs)
            name = str(credentials.get("username", ""))
            for until, failures, what in _locks(counted(name), _address(), timezone.now()):
                journal.record(
                    "auth.locked_out",
                    person=known(name) if what == "user name" else None,
                    outcome=journal.Outcome.DENIED,
                    data={"count": failures, "by": what, "until": journal.iso(until)},
                )

    def reset_user_attempts(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Only the name's: who may sign in does not thereby get further guesses at other names."""
        return _delete(username=counted_name(request, credentials))


def known(name: str) -> User | None:
    """Who has this name, if anybody: people type passwords there."""
    return None if "\0" in name else User.objects.filter(username=name).first()
