"""What happens to a request that is refused: problem details for the caller, a row for the journal."""

import re
import threading
import time
from collections.abc import Hashable, Iterable
from itertools import islice
from typing import Any, NamedTuple, Unpack

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent
from django.db import DatabaseError, connections
from django.http import HttpRequest
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from accounts import context, journal
from accounts.lockout import known
from accounts.models import JournalEntry, User
from accounts.permissions import Hidden
from robotctl import problems

log = structlog.get_logger("robotctl.journal")
STRANGER_WINDOW_S = 60.0
STRANGERS_KEPT = 10_000
MOST_KINDS = 10  # that one row names
MOST_TAKEN = 200  # with one refusal
ABOUT_RIGHTS = frozenset({"beyond_own_rights", "permission_denied"})  # of giving them: of commands their own rows tell
UNTOLD = frozenset(
    {"username", "uidb64", "token"}
)  # parts of an address that are no business of rows that stay for ever
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


def handler(exc: Exception, view_context: dict[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER. Anything DRF does not know stays a 500 and reaches the log."""
    shown = exc
    if isinstance(exc, RequestDataTooBig):
        shown = problems.Problem(413, "too_large", "The body is too large.")
    elif isinstance(exc, TooManyFieldsSent):
        shown = problems.Problem(400, "too_many_fields", "The form has too many fields.")
    response = exception_handler(shown, view_context)
    if response is None:
        return None
    request = view_context.get("request")
    if request is not None:
        note(request._request, exc)
    return problems.as_problem(response, shown)


def _verb(exc: Exception) -> str | None:
    """The journal's verb for a refusal; None for what is no refusal, or is journalled where it was made (most `Problem`s)."""
    match exc:
        case problems.Problem():
            return "access.denied" if exc.code in ABOUT_RIGHTS else None
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return "access.unauthenticated"
        case PermissionDenied() | exceptions.PermissionDenied():
            return "access.denied"
        case Hidden():
            return "access.hidden"
        case exceptions.Throttled():
            return "access.throttled"
        case RequestDataTooBig():
            return "access.too_large"
    return None


def note(request: HttpRequest, exc: Exception) -> None:
    """Journal a refused access. Of what may come in floods, one row a minute stands for all."""
    verb, who = _verb(exc), context.current()
    if verb is None:
        return
    path, person = _path(request)
    about: journal.About = {
        "person": person,
        "robot": _robot(request) if verb in ("access.denied", "access.hidden") else "",
        "outcome": journal.Outcome.DENIED,
        "reason": str(exc)[:200],
    }
    if who.actor_id is None or verb in ("access.throttled", "access.too_large"):
        key = (verb, who.actor_id, who.address, person.pk if person else None)
        strangers.tell(key, verb, f"{request.method} {path}", **about)
    else:
        journal.record(verb, f"{request.method} {path}", **about)


def sign_in_failed(name: str, *, code: str = "") -> None:
    """Journal a wrong password or code, or with `code` why it was not even looked at: a row a minute for each person and address."""
    who, person = context.current(), known(name)
    about: journal.About = {"person": person, "outcome": journal.Outcome.DENIED, "data": {"code": code} if code else {}}
    key = ("auth.sign_in_failed", code, who.actor_id, who.address, person.pk if person else None)
    strangers.tell(key, "auth.sign_in_failed", **about)


def _path(request: HttpRequest) -> tuple[str, User | None]:
    """The path without the name of the person, and without the secret, that it may hold; and that person."""
    match = getattr(request, "resolver_match", None)
    if match is None or UNTOLD.isdisjoint(match.kwargs):
        return request.path, None
    given = {name: "…" if name in UNTOLD else str(value) for name, value in match.kwargs.items()}
    path = PARAMETER.sub(lambda part: given.get(part[1], "…"), match.route)
    return f"/{path}", known(str(match.kwargs.get("username", "")))


def _robot(request: HttpRequest) -> str:
    """The robot that the address names. It exists: of what does not, nobody is refused anything."""
    match = getattr(request, "resolver_match", None)
    return str(match.kwargs.get("slug", ""))[:40] if match is not None and "robots/" in match.route else ""


class Counted(NamedTuple):
    """Refusals of one kind: when a row was last written (monotonic, s), how many came since, and the row that tells of them."""

    written_at: float
    since: int
    verb: str
    target: str
    about: journal.About
    of: tuple[str, ...] = ()  # what was refused, in words, where that was not always the same


class Strangers:
    """What may come in floods gets one row a minute for each `key`, with the count since the last. None is left out: the rest is
    written when its minute is over, or when the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reminder: threading.Timer | None = None
        self._seen: dict[Hashable, Counted] = {}  # in the order of `written_at`

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self._seen.clear()
            if self._reminder is not None:
                self._reminder.cancel()
            self._reminder = None

    def tell(self, key: Hashable, verb: str, target: str = "", **about: Unpack[journal.About]) -> None:
        """Count one refusal, and write what is due."""
        about["origin"] = about.get("origin") or context.current()
        now = time.monotonic()
        with self._lock:
            due = self._take(now)
            before = due.pop(key, None) or self._seen.get(key)
            since = before.since + 1 if before else 1
            words = f"{target}: {about.get('reason', '')}".strip(": ")
            of = tuple(dict.fromkeys([*(before.of if before else ()), words]))[:MOST_KINDS]
            if before is not None and now - before.written_at < STRANGER_WINDOW_S:
                self._seen[key] = Counted(before.written_at, since, verb, target, about, of)
                self._remind()
            else:
                due[key] = Counted(now, since, verb, target, about, of)
                self._seen[key] = Counted(now, 0, verb, target, about)
        _write(due.values())

    def flush(self) -> None:
        """Write what is left."""
        with self._lock:
            left = list(self._seen.values())
            self._seen.clear()
        _write(left)

    def _remind(self) -> None:
        """A flood that ends leaves a count: it is written in time, also when nothing is refused any more."""
        if self._reminder is None:
            self._reminder = threading.Timer(STRANGER_WINDOW_S, self._write_due)
            self._reminder.daemon = True
            self._reminder.start()

    def _write_due(self) -> None:
        with self._lock:
            self._reminder = None
            due = self._take(time.monotonic())
        try:
            _write(due.values())
        except DatabaseError as error:
            log.warning("refusals.not_recorded", error=str(error))
            with self._lock:  # to be written with what comes
                self._seen |= {key: one for key, one in due.items() if key not in self._seen}
        finally:
            connections.close_all()
        with self._lock:
            if any(one.since for one in self._seen.values()):
                self._remind()

    def _take(self, now: float) -> dict[Hashable, Counted]:
        """Those whose minute is over, and the oldest where there are too many: they are remembered no longer."""
        taken: dict[Hashable, Counted] = {}
        for key, one in list(islice(self._seen.items(), MOST_TAKEN)):
            if now - one.written_at < STRANGER_WINDOW_S and len(self._seen) < STRANGERS_KEPT:
                break
            taken[key] = self._seen.pop(key)
        return taken


def _write(counted: Iterable[Counted]) -> None:
    journal.record_all([_row(one) for one in counted if one.since])


def _row(one: Counted) -> JournalEntry:
    data = {**(one.about.get("data") or {}), "count": one.since}
    if len(one.of) < 2:
        about: journal.About = {**one.about, "data": data}
        return journal.entry(one.verb, one.target, **about)
    # A row that stands for several does not say of all what was true of the last.
    mixed: journal.About = {**one.about, "reason": "", "data": {**data, "of": list(one.of)}}
    return journal.entry(one.verb, "", **mixed)


strangers = Strangers()
