"""Request by request: the origin for journal and log, who is signed in, and refusals that pages raise."""

from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts import context, entry, refusals, sessions

GetResponse = Callable[[HttpRequest], HttpResponse]


class OriginMiddleware:
    """First in the chain: opens the context, and answers with the request id."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        structlog.contextvars.clear_contextvars()
        origin = context.enter(
            client_id=request.headers.get("X-Request-ID", ""),
            address=context.client_address(
                request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-For", "")
            ),
            user_agent=request.headers.get("User-Agent", ""),
        )
        response = self.get_response(request)
        response["X-Request-ID"] = origin.request_id
        return response


class PersonMiddleware:
    """After authentication: pages and the admin act in the name of the session's user; their refusals are journalled."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        by_session = settings.SESSION_COOKIE_NAME in request.COOKIES
        if by_session and request.user.is_authenticated:
            context.set_actor(request.user.pk, request.user.get_username())
        response = self.get_response(request)
        if (
            by_session and request.user.is_authenticated and not entry.STOP.fullmatch(request.path)
        ):  # a stop waits for no write
            sessions.seen(request)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        refusals.note(request, exception)
