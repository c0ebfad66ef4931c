"""Where a request comes from: its id and address, at hand for the journal and on every log line.

Threads that go on with a request's work run in a copy of its context (`contextvars.copy_context().run`).
"""

import ipaddress
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, replace

import structlog
from django.conf import settings


@dataclass(frozen=True)
class Origin:
    """What the journal keeps about the origin of an act. `actor_id` is None for the system itself."""

    request_id: str = ""
    address: str = ""
    user_agent: str = ""
    actor_id: int | None = None
    actor_name: str = ""


SYSTEM = Origin()
_current: ContextVar[Origin] = ContextVar("origin", default=SYSTEM)


def current() -> Origin:
    return _current.get()


def set_actor(actor_id: int, name: str) -> None:
    """Called by authentication, once it knows."""
    _current.set(replace(_current.get(), actor_id=actor_id, actor_name=name))


def enter(*, request_id: str = "", address: str = "", user_agent: str = "") -> Origin:
    """Begin the context of one request, socket or job."""
    origin = Origin(request_id=request_id or uuid.uuid4().hex, address=address, user_agent=user_agent[:255])
    _current.set(origin)
    structlog.contextvars.bind_contextvars(request_id=origin.request_id)
    return origin


def _trusted(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in settings.ENV.trusted_proxies)


def client_address(remote: str, forwarded_for: str) -> str:
    """The client's address. `X-Forwarded-For` is believed only as far as trusted proxies wrote it."""
    hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    address = remote
    while hops and _trusted(address):
        address = hops.pop()
    return address[:45]
