"""What happens to a request that is refused: problem details for the caller, a row for the journal."""

import threading
import time
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from accounts import context, journal
from accounts.models import User
from accounts.permissions import Hidden
from robotctl import problems

STRANGER_WINDOW_S = 60.0
STRANGERS_KEPT = 10_000


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
    """The journal's verb for a refusal; None for what is no refusal, or is journalled where it was made (a `Problem`)."""
    match exc:
        case problems.Problem():
            return None
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
    data: dict[str, Any] = {}
    in_floods = verb in ("access.throttled", "access.too_large")
    if who.actor_id is None or in_floods:
        count = strangers.count(f"{verb} {who.actor_id or who.address}" if in_floods else who.address)
        if count is None:
            return
        data["count"] = count
    path, person = _path(request)
    journal.record(
        verb,
        f"{request.method} {path}",
        person=person,
        robot=_robot(request) if verb in ("access.denied", "access.hidden") else "",
        outcome=journal.Outcome.DENIED,
        reason=str(exc)[:200],
        data=data,
    )


def _path(request: HttpRequest) -> tuple[str, User | None]:
    """The path without the name of the person that it may hold, and that person."""
    match = getattr(request, "resolver_match", None)
    name = str(match.kwargs.get("username", "")) if match is not None else ""
    if not name:
        return request.path, None
    return request.path.replace(f"/{name}/", "/…/", 1), User.objects.filter(username=name).first()


def _robot(request: HttpRequest) -> str:
    """The robot that the address names. It exists: of what does not, nobody is refused anything."""
    match = getattr(request, "resolver_match", None)
    return str(match.kwargs.get("slug", ""))[:40] if match is not None and "robots/" in match.route else ""


class Strangers:
    """Strangers get one row per address and minute, with the count since the last, so that they cannot flood the journal."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[float, int]] = {}

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self._seen.clear()

    def count(self, address: str) -> int | None:
        """How many refusals the row to be written stands for; None when none is due."""
        now = time.monotonic()
        with self._lock:
            written_at, since = self._seen.get(address, (-STRANGER_WINDOW_S, 0))
            if now - written_at < STRANGER_WINDOW_S:
                self._seen[address] = (written_at, since + 1)
                return None
            if len(self._seen) >= STRANGERS_KEPT:
                self._seen.pop(next(iter(self._seen)))
            self._seen[address] = (now, 0)
            return since + 1


strangers = Strangers()
