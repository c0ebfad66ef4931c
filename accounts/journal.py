"""The journal: one row for everything consequential, written in the transaction of what it tells of."""

import functools
import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypedDict, Unpack

from django.db import connection, models, transaction
from django.utils import timezone

from accounts import context
from accounts.models import JournalEntry, JournalOrigin, User
from robotctl import events
from robotctl.text import clean, clean_all

Outcome = JournalEntry.Outcome
ORDER_LOCK = 0x726F626F  # any constant that nobody else locks on
SECRET_WORDS = ("password", "token", "secret", "credential", "otp", "key")
REDACTED = "•••"


class About(TypedDict, total=False):
    """What a row may say besides verb and target. `actor` defaults to who is signed in, else the system."""

    actor: User | None
    robot: str
    outcome: str
    reason: str
    data: dict[str, Any] | None
    origin: context.Origin | None


def record(verb: str, target: str = "", **about: Unpack[About]) -> JournalEntry:
    """Write one row. Call it last in the transaction that it tells of."""
    (made,) = record_all([entry(verb, target, **about)])
    return made


def entry(verb: str, target: str = "", **about: Unpack[About]) -> JournalEntry:
    """A row for `record_all`, not yet written."""
    origin, actor = about.get("origin") or context.current(), about.get("actor")
    if actor is not None:
        origin = context.Origin(origin.request_id, origin.address, origin.user_agent, actor.pk, actor.get_username())
    made = JournalEntry(
        at=timezone.now(),
        actor_id=origin.actor_id,
        request_id=origin.request_id,
        verb=verb,
        target=clean(target)[:200],
        robot=about.get("robot", ""),
        outcome=about.get("outcome", Outcome.OK),
        reason=clean(about.get("reason", "")),
        data=redact(clean_all(about.get("data") or {})),
    )
    made.origin = origin
    return made


def record_all(entries: list[JournalEntry]) -> list[JournalEntry]:
    """Write these rows, in this order, with one insert. Call it last in the transaction that they tell of.

    Ids must commit in the order they are given, because readers ask for `id > last`: SQLite has one writer by nature; on
    PostgreSQL an advisory lock, held until commit, makes one.
    """
    if not entries:
        return []
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ORDER_LOCK])
        origins = {made.origin: _origin_id(made.origin) for made in entries}
        for made in entries:
            made.origin_id = origins[made.origin]
        JournalEntry.objects.bulk_create(entries)
        transaction.on_commit(functools.partial(events.publish, "journal", "bell", {"id": entries[-1].pk}))
    return entries


def _origin_id(origin: context.Origin) -> int | None:
    name, address, user_agent = origin.actor_name, origin.address, origin.user_agent
    if not (name or address):
        return None
    key = hashlib.sha256("\0".join((name, address, user_agent)).encode()).hexdigest()
    row, _ = JournalOrigin.objects.get_or_create(
        key=key, defaults={"actor_name": name, "address": address, "user_agent": user_agent}
    )
    return row.pk


def redact(data: Any, name: str = "") -> Any:
    """A copy without secrets: whatever sits under a name that speaks of one."""
    if any(word in name.lower() for word in SECRET_WORDS) and data not in (None, "", [], {}):
        return REDACTED
    if isinstance(data, dict):
        return {key: redact(value, str(key)) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [redact(value, name) for value in data]
    return data


def as_dicts(entries: Iterable[JournalEntry]) -> list[dict[str, Any]]:
    """Rows as the API and the sockets show them, names and addresses joined in with one query.

    `{"id","at","actor","verb","target","robot","outcome","reason","request_id","address","data"}`
    """
    entries = list(entries)
    origins = JournalOrigin.objects.in_bulk([entry.origin_id for entry in entries if entry.origin_id])
    return [_as_dict(entry, origins.get(entry.origin_id or 0)) for entry in entries]


def _as_dict(entry: JournalEntry, origin: JournalOrigin | None) -> dict[str, Any]:
    return {
        "id": entry.pk,
        "at": iso(entry.at),
        "actor": (origin.actor_name if origin and origin.actor_name else None)
        or ("system" if entry.actor_id is None else f"user {entry.actor_id}"),
        "verb": entry.verb,
        "target": entry.target,
        "robot": entry.robot or None,
        "outcome": entry.outcome,
        "reason": entry.reason,
        "request_id": entry.request_id,
        "address": origin.address if origin else "",
        "data": entry.data,
    }


def iso(moment: datetime | None) -> str | None:
    """ISO-8601 in UTC with milliseconds and `Z`, the time format of every document."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def since(last_id: int, *, limit: int = 500) -> models.QuerySet[JournalEntry]:
    """The rows after `last_id`, oldest first."""
    return JournalEntry.objects.filter(pk__gt=last_id).order_by("pk")[:limit]
