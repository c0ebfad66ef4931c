"""What sockets are refused, in the journal: as requests are, see accounts.refusals. Blocking database work."""

import uuid
from collections.abc import Hashable, Iterable
from typing import Any, Unpack

import structlog
from django.db import DatabaseError

from accounts import context, journal
from accounts.models import User
from accounts.refusals import strangers
from firmware.models import Robot
from realtime.protocol import NOT_SIGNED_IN

OF_ROBOTS, OF_ALL = ("robot", "tile", "alert"), ("fleet", "alerts", "monitoring", "journal")
log = structlog.get_logger(__name__)


def socket(scope: dict[str, Any], code: int) -> None:
    """A socket that was closed at its door: one row for each address and minute, with the count."""
    origin = _origin(scope)
    verb = "access.unauthenticated" if code == NOT_SIGNED_IN else "access.denied"
    _tell(("socket", verb, origin.address), verb, f"WS {scope['path']}", origin=origin, data={"code": code})


def topics(scope: dict[str, Any], user: User, names: Iterable[str]) -> None:
    """Topics that `user` may not hear: a row for each, once a minute. Of a robot that is not there nobody is refused anything."""
    for name in names:
        kind, _, slug = name.partition(".")
        if not (kind in OF_ROBOTS and Robot.objects.filter(slug=slug).exists() if slug else kind in OF_ALL):
            continue
        verb = "access.hidden" if slug else "access.denied"
        about: journal.About = {"actor": user, "robot": slug, "origin": _origin(scope)}
        _tell(("topic", user.pk, name), verb, f"WS subscribe {name}", **about)


def _tell(key: Hashable, verb: str, target: str, **about: Unpack[journal.About]) -> None:
    about["outcome"] = journal.Outcome.DENIED
    try:
        strangers.tell(key, verb, target, **about)
    except DatabaseError as error:  # it is refused all the same
        log.warning("refusal.not_recorded", verb=verb, error=str(error))


def _origin(scope: dict[str, Any]) -> context.Origin:
    headers = {name: value.decode("latin-1") for name, value in scope.get("headers", [])}
    remote = (scope.get("client") or ("",))[0]
    return context.Origin(
        request_id=uuid.uuid4().hex,
        address=context.client_address(remote, headers.get(b"x-forwarded-for", "")),
        user_agent=headers.get(b"user-agent", "")[:255],
    )
