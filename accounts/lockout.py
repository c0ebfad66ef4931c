"""Guessing at passwords and codes: after a few failures a name, or an address, waits; each further one doubles the wait.

Axes counts; here it is judged. A lockout is about getting in and nothing else: sessions, tokens and stop tickets go on. Names
are counted as keyed hashes, because people type passwords there, and whether or not somebody has that name.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.contrib.auth.signals import user_login_failed
from django.db import connection, transaction
from django.db.models import Count, Max, Q, Sum
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts import context, journal
from accounts.models import Guess, User

NAME_LIMIT = 5
ADDRESS_LIMIT = 20  # a hall may have one address
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
REMEMBERED = timedelta(days=1)
LONGEST_GUESS = timedelta(seconds=30)  # comparing a password takes a tenth of a second
MOST_AT_ONCE = 64  # they are compared one after the other: the last has to be over within LONGEST_GUESS
PATIENCE_S = 60.0
ASKS_EVERY_S = 0.03
LOCKS = 0x10C  # PostgreSQL's advisory locks of two numbers; the journal's has one
_turns = [threading.Lock() for _ in range(64)]


def wait_after(failures: int, limit: int) -> timedelta:
    """How long the next attempt has to wait after this many failures."""
    if failures < limit:
        return timedelta(0)
    doublings: int = 2 ** min(failures - limit, 20)
    return min(FIRST_WAIT * doublings, LONGEST_WAIT)


class LockedOut(Exception):
    """`wait_s`: how long before the name is asked again at this address."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


@contextmanager
def turn(name: str) -> Iterator[None]:
    """Held while a password or a code is compared. Raises LockedOut.

    Of many guesses at once, in whatever processes, no more are looked at than the limits leave: the others wait until those are
    over, and then are looked at or locked out. Who gives the right password many times at once only waits. No transaction is open
    meanwhile, and a guess whose process has died is forgotten after `LONGEST_GUESS`.
    """
    hashed, address = counted(name), _address()
    with _turns[
        _number(hashed) % len(_turns)
    ]:  # in this process one after the other: the database is asked by one of them
        guess = _begin(hashed, address)
        try:
            yield
        finally:
            Guess.objects.filter(pk=guess.pk).delete()  # after the failure, if it was one, is counted


def _begin(hashed: str, address: str) -> Guess:
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        # Most waiting is done by reading: a transaction that may write keeps SQLite's other writers out.
        if _room(hashed, address):
            with transaction.atomic():
                _one_at_a_time(hashed, address)
                if _room(hashed, address):
                    return Guess.objects.create(counted=hashed, address=address)
        if time.monotonic() > give_up_at:
            raise LockedOut(1)
        time.sleep(ASKS_EVERY_S)


def _room(hashed: str, address: str) -> bool:
    """Whether one more guess may be looked at now. Raises LockedOut.

    Guesses under way are read before failures: one that fails in between is seen twice, never not at all.
    """
    now = timezone.now()
    name, at = Count("pk", filter=Q(counted=hashed)), Count("pk", filter=Q(address=address))
    under_way = Guess.objects.filter(at__gt=now - LONGEST_GUESS).aggregate(name=name, address=at, all=Count("pk"))
    seen = _seen(hashed, address, now)
    waits = [until for until, _, _ in _locks(seen, now)]
    if waits:
        raise LockedOut(max(int((until - now).total_seconds()) + 1 for until in waits))
    busy = {"user name": under_way["name"], "address": under_way["address"]}
    room = all(busy[what] < max(1, limit - failures) for what, limit, failures, _ in seen)
    return room and under_way["all"] < MOST_AT_ONCE


def _one_at_a_time(hashed: str, address: str) -> None:
    """Until the transaction ends no other process decides about this name or address. SQLite has one writer by nature."""
    Guess.objects.filter(at__lt=timezone.now() - LONGEST_GUESS).delete()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for key in sorted({_number(hashed), _number(counted(address))}):
                cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCKS, key])


def _number(hashed: str) -> int:
    return int(hashed[:7], 16)


def failed(request: Any, name: str) -> None:
    """Count a failure that Django's `authenticate` does not know of: a wrong code, a wrong current password."""
    user_login_failed.send(sender=__name__, credentials={"username": name}, request=request)


def forget(name: str) -> int:
    """Its failures are forgotten: it has signed in, or an administrator says so. Returns how many there were."""
    return _delete(username=counted(name))


def unlock(user: User, *, address: str = "") -> None:
    """An administrator lets `user`, and with `address` everybody there, try again at once. The caller asks about them all."""
    with transaction.atomic():
        others = [journal.who(one) for one in guessed_at(address) if one != user] if address else []
        count = forget(user.username) + (_delete(ip_address=address) if address else 0)
        journal.record(
            "auth.unlocked", person=user, data={"count": count, "others": others} if address else {"count": count}
        )


def guessed_at(address: str) -> list[User]:
    """Whose names were guessed at from there: their count goes, too, when the address is forgiven."""
    hashed = set(AccessAttempt.objects.filter(ip_address=address).values_list("username", flat=True))
    return [user for user in User.objects.all() if counted(user.username) in hashed] if hashed else []


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


def _seen(hashed: str, address: str, now: datetime) -> list[tuple[str, int, int, datetime]]:
    """What is counted, for the name and the address: (of what, limit, failures, the last one)."""
    found = []
    recent = AccessAttempt.objects.filter(attempt_time__gt=now - REMEMBERED)
    kinds = [("user name", NAME_LIMIT, recent.filter(username=hashed))]
    if address:
        kinds.append(("address", ADDRESS_LIMIT, recent.filter(ip_address=address)))
    for what, limit, rows in kinds:
        seen = rows.aggregate(failures=Sum("failures_since_start"), last=Max("attempt_time"))
        found.append((what, limit, seen["failures"] or 0, seen["last"] or now))
    return found


def _locks(seen: list[tuple[str, int, int, datetime]], now: datetime) -> list[tuple[datetime, int, str]]:
    """The locks that hold: until when, after how many failures, of what."""
    at_limit = [
        one for one in seen if one[2] >= one[1]
    ]  # a failure below it may be newer than `now`, and locks nothing
    waits = [(last + wait_after(failures, limit), failures, what) for what, limit, failures, last in at_limit]
    return [(until, failures, what) for until, failures, what in waits if until > now]


class LockoutHandler(AxesDatabaseHandler):
    """Axes' counting in the database, with waits that grow."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        now = timezone.now()
        return bool(_locks(_seen(counted_name(request, credentials), _address(), now), now))

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
    ) -> None:
        """Count it, and say so in the journal when a lockout begins. What came during one was not looked at: no guess."""
        if request is None or self.is_locked(request, credentials):
            return
        with transaction.atomic():
            super().user_login_failed(sender, credentials, request, **kwargs)
            name, now = str(credentials.get("username", "")), timezone.now()
            for until, failures, what in _locks(_seen(counted(name), _address(), now), now):
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
