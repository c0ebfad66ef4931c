"""How much one person, and one address, may ask for. Never asked about a stop, a stop ticket, letting go of a jog, or signing out.

Counted on the bus, so that all web processes count together. When the bus is away nothing is refused, and it is asked again only
every few seconds: a bus that hangs must not slow every request down.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework import exceptions
from rest_framework.throttling import BaseThrottle

from accounts import context, refusals
from accounts.models import User
from robotctl import problems

SOCKET_TIMEOUT_S = 0.1
ASK_AGAIN_AFTER_S = 5.0
PREFIX = "throttle:"
SIGN_IN_PAGES = ("sign-in", "admin:login")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Rate:
    """At most `requests` in each window of `window_s` seconds."""

    requests: int
    window_s: int


class Counter:
    """Counts on the bus, in fixed windows. One round trip for a request."""

    def __init__(self, url: str) -> None:
        self._bus = redis.Redis.from_url(
            url,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._asking = threading.Lock()
        self._away_since: float | None = None

    def wait_s(self, rates: dict[str, Rate]) -> float | None:
        """Count one request under each name. Seconds until the fullest window ends; None while all have room."""
        if self._away_since is None:
            return self._count(rates)
        if time.monotonic() - self._away_since < ASK_AGAIN_AFTER_S or not self._asking.acquire(blocking=False):
            return None
        try:  # one request asks whether the bus is back; the others do not wait for it
            return self._count(rates)
        finally:
            self._asking.release()

    def _count(self, rates: dict[str, Rate]) -> float | None:
        now = time.time()
        with self._bus.pipeline(transaction=False) as pipeline:
            for name, rate in rates.items():
                key = f"{PREFIX}{name}:{int(now // rate.window_s)}"
                pipeline.incr(key)
                pipeline.expire(key, rate.window_s + 1)
            try:
                counts = pipeline.execute()[::2]
            except redis.RedisError as error:
                if self._away_since is None:
                    log.warning("throttle.off", error=str(error))
                self._away_since = time.monotonic()
                return None
        if self._away_since is not None:
            log.info("throttle.on")
        self._away_since = None
        full = [rate for rate, count in zip(rates.values(), counts, strict=True) if count > rate.requests]
        return max((rate.window_s - now % rate.window_s for rate in full), default=None)

    def forget(self) -> None:
        """Begin anew."""
        self._away_since = None
        for key in self._bus.scan_iter(f"{PREFIX}*"):
            self._bus.delete(key)


counter = Counter(settings.REDIS_URL)


def _rates(name: str, who: object) -> dict[str, Rate]:
    """The limit called `name`, counted for `who`; nothing where there is no such limit."""
    limit = settings.THROTTLE_RATES.get(name)
    return {f"{name}:{who}": Rate(*limit)} if limit else {}


class PersonThrottle(BaseThrottle):
    """For every API view, once it is known who asks. A view says `throttle_scope = "sign-in"` where it is stricter."""

    def __init__(self) -> None:
        self._wait_s: float | None = None

    def allow_request(self, request: Any, view: Any) -> bool:
        if isinstance(request.user, User):
            scope = getattr(view, "throttle_scope", "any")
            self._wait_s = counter.wait_s(_rates(f"{scope}-user", request.user.pk))
        return self._wait_s is None

    def wait(self) -> float | None:
        return self._wait_s and math.ceil(self._wait_s)


class AddressThrottle:
    """Middleware: the same for an address, before anything is looked up."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        kind = getattr(view, "cls", None)
        if kind is not None and not kind.throttle_classes:
            return None
        scope = getattr(kind, "throttle_scope", "any")
        if request.method == "POST" and request.resolver_match and request.resolver_match.view_name in SIGN_IN_PAGES:
            scope = "sign-in"
        wait_s = counter.wait_s(_rates(f"{scope}-address", context.current().address))
        return None if wait_s is None else _refuse(request, math.ceil(wait_s))


def _refuse(request: HttpRequest, wait_s: int) -> HttpResponse:
    refusal = exceptions.Throttled(wait_s)
    refusals.note(request, refusal)
    if request.path.startswith("/api/"):
        kind = "application/problem+json"
        answer: HttpResponse = JsonResponse(problems.body(refusal), status=429, content_type=kind)
    else:
        answer = render(request, "problem.html", {"status": 429, "wait_s": wait_s}, status=429)
    answer["Retry-After"] = str(wait_s)
    return answer
