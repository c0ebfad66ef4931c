"""A browser session that nobody has touched for a while is locked: a console on a shop floor is left alone, not signed out.

Locked, it still stops robots and still shows their state; everything else waits for the password. API tokens are never locked.
What counts is one time in the session, so that all tabs and all processes agree.

A view says what it does while locked, `while_locked = ("POST",)`. What a page sends with nobody there, and what must not wait for
the database, says `counts_as_activity = False`.
"""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from robotctl.problems import Problem

ACTIVE_AT = "active_at"  # epoch s
WRITTEN_EVERY_S = 60.0
CLOCK_SLACK_S = 2.0
OPEN_PAGES = ("unlock", "sign-out", "admin:logout")


def locks_in_s(session: SessionBase) -> float:
    """How long until it is locked; not above 0 when it is. A clock that was set back keeps nothing open."""
    now = time.time()
    idle_s = now - session.get(ACTIVE_AT, now)
    return settings.LOCK_AFTER_S - idle_s if idle_s >= -CLOCK_SLACK_S else 0.0


def is_locked(session: SessionBase) -> bool:
    return locks_in_s(session) <= 0


def touch(session: SessionBase, *, at_once: bool = False) -> None:
    """Somebody is there. Written down at most once a minute, but when `at_once`.

    And saved here: a request that takes long must not write an old session over a newer one when it ends.
    """
    every_s = 0.0 if at_once else min(WRITTEN_EVERY_S, settings.LOCK_AFTER_S / 10)
    now = time.time()
    if 0 <= now - session.get(ACTIVE_AT, 0.0) < every_s:
        return
    session[ACTIVE_AT] = now
    try:
        session.save()
    except UpdateError:
        return  # signed out meanwhile; the next request is told
    session.modified = False


def require_unlocked(request: Request) -> None:
    """Raise Problem 403 `session_locked` for what is not to be done while locked; take note that somebody is there."""
    session, view = request._request.session, request.parser_context.get("view") if request.parser_context else None
    method = "GET" if request.method == "HEAD" else request.method
    if is_locked(session):
        if method not in getattr(view, "while_locked", ()):
            raise Problem(403, "session_locked", "This session is locked; give your password to go on. Stop works.")
    elif getattr(view, "counts_as_activity", True) and (method not in SAFE_METHODS or ACTIVE_AT not in session):
        touch(session)


class LockMiddleware:
    """The same for pages and the admin: while locked they lead to the page that unlocks."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        if request.path.startswith("/api/") or settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return None
        if not request.user.is_authenticated:
            return None
        if not is_locked(request.session):
            touch(request.session)
            return None
        if request.resolver_match is not None and request.resolver_match.view_name in OPEN_PAGES:
            return None
        back = request.get_full_path() if request.method in SAFE_METHODS else request.path
        return redirect(f"/unlock/?{urlencode({'next': back})}")
