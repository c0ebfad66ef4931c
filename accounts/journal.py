"""The journal: one row for everything consequential, written in the transaction of what it tells of."""

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
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
SECRET_WORDS = frozenset(
    (
        "password",
        "passwords",
        "passwd",
        "passphrase",
        "psk",
        "otp",
        "key",
        "keys",
        "token",
        "tokens",
        "secret",
        "secrets",
        "credential",
        "credentials",
    )
)
# Names that speak of a secret and hold none: shown when there is a yes, a no or a time under them, and nothing else.
NO_SECRETS = frozenset(
    {"must_change_password", "password_changed_at", "has_password", "usable_password", "credentials_set"}
)
OPEN_KEYS = frozenset({"idempotency_key", "public_key", "public_keys"})  # shown, whatever they are
SHOWN = re.compile(r"True|False|None|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.]*(?:Z|[+-]\d\d:?\d\d)?")
WORDS = re.compile(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]*")
REDACTED = "•••"
APART = frozenset({"address", "user_agent"})  # for those with the right to the journal only
ROBOTS_OWN = frozenset({"robot.restarted", "robot.state_changed", "stop.left"})  # what a robot did by itself


class About(TypedDict, total=False):
    """What a row may say besides verb and target. `actor` defaults to who is signed in, else the system.

    `person`: whom it is about. `late_at`: when it happened, for what could not be recorded then.
    """

    actor: User | None
    person: User | int | None
    late_at: datetime | None
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
    """A row for `record_all`, not yet written. Names of people belong into `actor`, `person` and `who()` alone."""
    origin, actor, person = about.get("origin") or context.current(), about.get("actor"), about.get("person")
    if actor is not None:
        origin = context.Origin(origin.request_id, origin.address, origin.user_agent, actor.pk, actor.get_username())
    late_at = about.get("late_at")
    made = JournalEntry(
        at=late_at or timezone.now(),
        late=late_at is not None,
        actor_id=origin.actor_id,
        person_id=person.pk if isinstance(person, User) else person,
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


def who(person: User | int | None) -> dict[str, int] | None:
    """A person in a row's data: their number, which is shown as their name for as long as they have one."""
    number = person.pk if isinstance(person, User) else person
    return None if number is None else {"person": number}


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
        origins = {origin: _origin_id(origin) for origin in {made.origin for made in entries}}
        for made in entries:
            made.origin_id = origins[made.origin]
        JournalEntry.objects.bulk_create(entries)
        transaction.on_commit(functools.partial(events.publish, "journal", "bell", {"id": entries[-1].pk}))
    return entries


def _origin_id(origin: context.Origin) -> int | None:
    if not origin.address:
        return None
    parts = (str(origin.actor_id or ""), origin.address, origin.user_agent)
    row, _ = JournalOrigin.objects.get_or_create(
        key=hashlib.sha256("\0".join(parts).encode()).hexdigest(),
        defaults={"person_id": origin.actor_id, "address": origin.address, "user_agent": origin.user_agent},
    )
    return row.pk


def redact(data: Any, name: str = "") -> Any:
    """A copy without secrets: whatever sits under a name with a word that means one, `apiToken` as well as `api_token`."""
    if _is_secret(name) and data not in (None, "", [], {}):
        return (
            [redact(one, name) for one in data]
            if name in NO_SECRETS and isinstance(data, list | tuple)
            else _hidden(name, data)
        )
    if isinstance(data, dict):
        return {key: redact(value, str(key)) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [redact(value, name) for value in data]
    return data


def _is_secret(name: str) -> bool:
    return name not in OPEN_KEYS and not SECRET_WORDS.isdisjoint(word.lower() for word in WORDS.findall(name))


def _hidden(name: str, data: Any) -> Any:
    """auditlog writes before and after as texts."""
    return data if name in NO_SECRETS and (isinstance(data, bool) or SHOWN.fullmatch(str(data))) else REDACTED


def as_dicts(entries: Iterable[JournalEntry]) -> list[dict[str, Any]]:
    """Rows as the API and the sockets show them, names and addresses joined in with two queries.

    `{"id","at","late","actor","verb","target","robot","outcome","reason","request_id","address","user_agent","data"}`
    """
    entries = list(entries)
    origins = JournalOrigin.objects.in_bulk([entry.origin_id for entry in entries if entry.origin_id])
    named = {number for entry in entries for number in (entry.actor_id, entry.person_id, *_people_in(entry.data))}
    numbers = [number for number in named if number is not None]
    names = dict(User.objects.filter(pk__in=numbers).values_list("pk", "username"))
    return [_as_dict(entry, origins.get(entry.origin_id or 0), names) for entry in entries]


def told(entries: Iterable[JournalEntry]) -> list[dict[str, Any]]:
    """The same without where people acted from: for who sees the robot and not the journal."""
    return [{key: value for key, value in row.items() if key not in APART} for row in as_dicts(entries)]


def of_robot(slug: str) -> models.QuerySet[JournalEntry]:
    """The rows of one robot, newest first."""
    return JournalEntry.objects.filter(robot=slug).order_by("-at", "-pk")


def _as_dict(entry: JournalEntry, origin: JournalOrigin | None, names: dict[int, str]) -> dict[str, Any]:
    about = "" if entry.person_id is None else _name(entry.person_id, names)
    return {
        "id": entry.pk,
        "at": iso(entry.at),
        "late": entry.late,
        "actor": _actor(entry, names),
        "verb": entry.verb,
        "target": " · ".join(part for part in (entry.target, about) if part),
        "robot": entry.robot or None,
        "outcome": entry.outcome,
        "reason": entry.reason,
        "request_id": entry.request_id,
        "address": origin.address if origin else "",
        "user_agent": origin.user_agent if origin else "",
        "data": _with_names(entry.data, names),
    }


def _actor(entry: JournalEntry, names: dict[int, str]) -> str:
    if entry.actor_id is not None:
        return _name(entry.actor_id, names)
    return "robot" if entry.verb in ROBOTS_OWN else "system"


def _name(number: int, names: dict[int, str]) -> str:
    return names.get(number, f"user {number}")


def _is_person(data: Any) -> bool:
    return isinstance(data, dict) and len(data) == 1 and type(data.get("person")) is int


def _people_in(data: Any) -> Iterator[int]:
    if _is_person(data):
        yield data["person"]
    elif isinstance(data, dict | list):
        for one in data.values() if isinstance(data, dict) else data:
            yield from _people_in(one)


def _with_names(data: Any, names: dict[int, str]) -> Any:
    if _is_person(data):
        return _name(data["person"], names)
    if isinstance(data, dict):
        return {key: _with_names(value, names) for key, value in data.items()}
    return [_with_names(value, names) for value in data] if isinstance(data, list) else data


def iso(moment: datetime | None) -> str | None:
    """ISO-8601 in UTC with milliseconds and `Z`, the time format of every document."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def since(last_id: int, *, limit: int = 500) -> models.QuerySet[JournalEntry]:
    """The rows after `last_id`, oldest first."""
    return JournalEntry.objects.filter(pk__gt=last_id).order_by("pk")[:limit]
