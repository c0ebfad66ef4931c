"""Where a request comes from: its id and address, at hand for the journal and on every log line.

Threads that go on with a request's work run in a copy of its context (`contextvars.copy_context().run`).
"""

import ipaddress
import re
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


Address = ipaddress.IPv4Address | ipaddress.IPv6Address
SYSTEM = Origin()
_current: ContextVar[Origin] = ContextVar("origin", default=SYSTEM)


def current() -> Origin:
    return _current.get()


def set_actor(actor_id: int, name: str) -> None:
    """Called by authentication, once it knows."""
    _current.set(replace(_current.get(), actor_id=actor_id, actor_name=name))


def enter(*, request_id: str = "", address: str = "", user_agent: str = "", client_id: str = "") -> Origin:
    """Begin the context of one request, socket or job.

    Its id is ours alone: who could choose it could put rows beside those of somebody else's request. `client_id`, from the
    client's `X-Request-ID`, is for the log. `request_id`: of the request whose work goes on here.
    """
    origin = Origin(request_id=request_id or uuid.uuid4().hex, address=address, user_agent=user_agent[:255])
    _current.set(origin)
    structlog.contextvars.bind_contextvars(request_id=origin.request_id)
    if CLIENT_ID.fullmatch(client_id):
        structlog.contextvars.bind_contextvars(client_request_id=client_id)
    return origin


CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
BRACKETED = re.compile(r"\[([^\]]*)\](?::\d{1,5})?")
WITH_PORT = re.compile(r"([\d.]+):\d{1,5}")


def _parsed(hop: str) -> Address | None:
    """The address in `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]:80`, `fe80::1%eth0`; None: there is none in it.

    Without the zone, which means nothing elsewhere and which PostgreSQL's `inet` refuses; IPv4 within IPv6 is IPv4.
    """
    found = BRACKETED.fullmatch(hop) or WITH_PORT.fullmatch(hop)
    try:
        address = ipaddress.ip_address((found[1] if found else hop).partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _trusted(address: Address) -> bool:
    return any(address in network for network in settings.ENV.trusted_proxies)


def client_address(remote: str, forwarded_for: str) -> str:
    """The client's address, always a valid one; empty where there is none (a Unix socket).

    `X-Forwarded-For` is believed only as far as trusted proxies wrote it. Of what is no address nothing is believed: then it is
    the last address before it that counts.
    """
    address = _parsed(remote)
    for hop in reversed([hop.strip() for hop in forwarded_for.split(",") if hop.strip()]):
        if address is None or not _trusted(address):
            break
        before = _parsed(hop)
        if before is None:
            break
        address = before
    return "" if address is None else str(address)
