"""Where a person is signed in, and how that ends: browser sessions, API tokens, and with them the sockets."""

import contextlib
import time
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db import DatabaseError, transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts import context, journal, permissions
from accounts.models import ApiToken, SignIn, User

MOST_GUESSES = 10  # at the password of a locked session
SEEN_EVERY_S = 60.0
REMEMBERED = 10_000

_seen: dict[str, float] = {}  # session → when this process last wrote that it was seen (monotonic s)


def begun(request: HttpRequest, user: User) -> None:
    """Somebody has signed in with a browser."""
    if not request.session.session_key:
        request.session.create()
    origin = context.current()
    about = {"user": user, "address": origin.address, "user_agent": origin.user_agent}
    SignIn.objects.update_or_create(session_key=request.session.session_key, defaults=about)


def seen(request: HttpRequest) -> None:
    """Note, once a minute and process, that the session is used."""
    key, now = request.session.session_key or "", time.monotonic()
    if not key or now - _seen.get(key, -SEEN_EVERY_S) < SEEN_EVERY_S:
        return
    if len(_seen) >= REMEMBERED:
        _seen.pop(next(iter(_seen)), None)
    _seen[key] = now
    with contextlib.suppress(DatabaseError):  # the request was served; that it was seen is not worth an error
        SignIn.objects.filter(session_key=key).update(last_seen_at=timezone.now())


def of(user: User) -> QuerySet[SignIn]:
    """The sessions that are open now."""
    open_now = Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")
    return SignIn.objects.filter(user=user, session_key__in=open_now)


def may_guess(session: SessionBase) -> bool:
    """Whether one more password may be tried on this locked session. Counted before it is looked at, and in the database: of
    many at once, in whatever processes, no more are looked at."""
    row = SignIn.objects.filter(session_key=session.session_key or "", guesses__lt=MOST_GUESSES)
    return row.update(guesses=F("guesses") + 1) == 1


def guesses_left(session: SessionBase) -> int:
    row = SignIn.objects.filter(session_key=session.session_key or "").first()
    return MOST_GUESSES - row.guesses if row else 0


def guessed_right(session: SessionBase) -> None:
    SignIn.objects.filter(session_key=session.session_key or "").update(guesses=0)


def moved(before: str, after: str) -> None:
    """A session has got another key."""
    SignIn.objects.filter(session_key=before).update(session_key=after)


def end(rows: QuerySet[SignIn]) -> int:
    """End these browser sessions. Returns how many; the caller rings (permissions.rights_changed)."""
    keys = list(rows.values_list("session_key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    return SignIn.objects.filter(session_key__in=keys).delete()[0]


def end_all(user: User, *, keep_session: str = "", keep_token: str = "") -> dict[str, int]:
    """End everything that `user` is signed in with, but what is kept; open sockets close at once. `{"sessions", "tokens"}`"""
    with transaction.atomic():
        # First: who is signing in at this moment holds this row, and is waited for; see sign_in.letting_in.
        User.objects.filter(pk=user.pk).update(links_void=F("links_void") + 1)
        ended = {
            "sessions": end(SignIn.objects.filter(user=user).exclude(session_key=keep_session or None)),
            "tokens": ApiToken.objects.filter(user=user).exclude(digest=keep_token).delete()[0],
        }
        permissions.rights_changed(user)
    return ended


def end_all_of(user_ids: set[int]) -> None:
    """`end_all` for many at once. The caller rings (permissions.rights_changed)."""
    User.objects.filter(pk__in=user_ids).update(links_void=F("links_void") + 1)
    end(SignIn.objects.filter(user__in=user_ids))
    ApiToken.objects.filter(user__in=user_ids).delete()


def sign_out(user: User) -> dict[str, int]:
    """End it all, and say so in the journal."""
    with transaction.atomic():
        ended = end_all(user)
        journal.record(
            "auth.signed_out_everywhere", person=user, data={"sessions": ended["sessions"], "api": ended["tokens"]}
        )
    return ended


def shape(row: SignIn, current_key: str) -> dict[str, Any]:
    """`{"id","address","browser","user_agent","since","last_seen","current"}`"""
    return {
        "id": row.pk,
        "address": row.address,
        "browser": browser(row.user_agent),
        "user_agent": row.user_agent,
        "since": journal.iso(row.created_at),
        "last_seen": journal.iso(row.last_seen_at),
        "current": row.session_key == current_key,
    }


BROWSERS = {"Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
SYSTEMS = {
    "Windows": "Windows",
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Mac OS": "macOS",
    "Linux": "Linux",
}


def browser(user_agent: str) -> str:
    """`Firefox on Linux`: enough to recognise one's own. The first that fits: later ones name themselves after earlier ones."""
    name = next((word for sign, word in BROWSERS.items() if sign in user_agent), "")
    system = next((word for sign, word in SYSTEMS.items() if sign in user_agent), "")
    return " on ".join(filter(None, (name, system))) or "unknown"
