"""What a person has to do before anything else: change a password that somebody else set, or set up a second factor.

Until then there is stop, what the duty itself needs, and the way out.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from accounts import second_factor
from accounts.models import User
from robotctl.problems import Problem

STOP = re.compile(r"/api/v1/(?:robots/[^/]+/)?stop/?|/api/v1/auth/stop-ticket/")
PAGES = re.compile(r"/(?:account|sign-out|sign-in|static|health|api)/.*")  # the API answers for itself


class Duty(NamedTuple):
    """Something to do first: what the problem says, and which addresses of the API are open."""

    code: str
    words: str
    open: re.Pattern[str]


PASSWORD = Duty(
    "password_change_required",
    "Change your password first: somebody else set it.",
    re.compile(rf"{STOP.pattern}|/api/v1/auth/(?:me|password|logout)/"),
)
FACTOR = Duty(
    "mfa_setup_required",
    "Set up a second factor first: your role asks for one.",
    re.compile(rf"{STOP.pattern}|/api/v1/auth/(?:me|mfa|mfa/confirm|logout)/"),
)


def duty(user: User | AnonymousUser) -> Duty | None:
    """What `user` has to do first. Without one, no query more when the role was read along."""
    if not isinstance(user, User):
        return None
    if user.must_change_password:
        return PASSWORD
    if user.role.asks_factor and not second_factor.is_enabled(user):
        return FACTOR
    return None


def require_done(user: User | AnonymousUser, path: str) -> None:
    """Raises a 403 Problem when a duty is open and `path`, of the API, is not part of it."""
    first = duty(user)
    if first is not None and not first.open.fullmatch(path):
        raise Problem(403, first.code, first.words)


class EntryMiddleware:
    """Leads a browser session with an open duty to the account page, whatever page, the admin's too, was asked for."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if (
            settings.SESSION_COOKIE_NAME in request.COOKIES
            and not PAGES.fullmatch(request.path)
            and duty(request.user) is not None
        ):
            return HttpResponseRedirect("/account/")
        return self.get_response(request)
