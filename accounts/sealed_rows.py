"""Rows and seals as the database holds them, for hashing: read to the byte, also when somebody put there what Django cannot read."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models import BinaryField, Expression, F, QuerySet, TextField
from django.db.models.functions import Cast

from accounts import seal_format as form
from accounts.journal_models import JournalEntry, Seal

CHUNK = 2_000
NUMBERS = {"id", "late", "actor_id", "person_id", "origin_id", "number", "first_id", "last_id", "count", "witness"}


def read(rows: QuerySet[JournalEntry]) -> Iterator[form.Row]:
    """These rows as they are sealed, oldest first, a few thousand at a time."""
    wanted = [_column(name) for name in form.FIELDS]
    rows, last = rows.order_by("pk"), None
    while True:
        following = rows if last is None else rows.filter(pk__gt=last)
        chunk = list(following.values_list(*wanted)[:CHUNK])
        for values in chunk:
            yield _row(values)
        if len(chunk) < CHUNK:
            return
        last = chunk[-1][0]


def read_seals(seals: QuerySet[Seal], *, limit: int) -> list[form.Seal]:
    """Seals as they are exported, oldest first."""
    found = seals.order_by("number").values_list(*(_column(name) for name in form.SEAL_FIELDS))[:limit]
    return [_seal(values) for values in found]


def timestamp(moment: datetime) -> str:
    """`2026-11-27T08:00:00.000000Z`, as in a sealed row."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _column(name: str) -> Expression | F:
    """SQLite gives bytes, because its text need not be UTF-8; PostgreSQL gives JSON as text, before anybody interprets it."""
    if connection.vendor == "sqlite":
        return F(name) if name in NUMBERS else Cast(name, BinaryField())
    return Cast(name, TextField()) if name == "data" else F(name)


def _row(values: tuple[Any, ...]) -> form.Row:
    row = {name: _exact(value) for name, value in zip(form.FIELDS, values, strict=True)}
    row["at"], row["data"] = _moment(row["at"]), _json(row["data"])
    return row


def _seal(values: tuple[Any, ...]) -> form.Seal:
    seal = dict(zip(form.SEAL_FIELDS, values, strict=True))
    witness = seal.pop("witness")
    seal = {name: _exact(value) for name, value in seal.items()}
    bare = bytes(witness) if isinstance(witness, bytes | memoryview) else repr(witness).encode()
    return {**seal, "sealed_at": _moment(seal["sealed_at"]), "witness": base64.b64encode(bare).decode()}


def _exact(value: Any) -> Any:
    if not isinstance(value, bytes | memoryview):
        return value
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        return {"no text": bytes(value).hex()}


def _moment(value: Any) -> Any:
    """SQLite holds text. What is not written as Django writes it stays as it is, and is hashed as something else."""
    if isinstance(value, datetime):
        return timestamp(value)
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
    return timestamp(moment.replace(tzinfo=UTC)) if str(moment) == value else value


def _json(text: Any) -> Any:
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return text
    if connection.vendor == "sqlite" and json.dumps(value) != text:
        return text  # a space more is a change too
    return value
