"""Finding rows of the journal among millions: each search walks along one index and stops when the page is full.

Rows come newest first by (at, id); those of a search for words by id, the order of the index of words.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Self

from django.db.models import Q, QuerySet

from accounts import journal_text
from accounts.journal_filters import Branch, Search, opaque
from accounts.models import JournalEntry


@dataclass(frozen=True)
class Cursor:
    """A place in the journal, and whether the page wanted is the one with older rows."""

    at: datetime
    id: int
    older: bool = True

    def __str__(self) -> str:
        text = f"{'o' if self.older else 'n'} {self.at.isoformat()} {self.id}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises ValueError."""
        try:
            told = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
        except binascii.Error as error:
            raise ValueError("not base64") from error
        direction, at, number = told.split(" ")
        place = cls(datetime.fromisoformat(at), int(number), direction == "o")
        if str(place) != text or place.at.tzinfo is None or abs(place.id) >= 2**63:
            raise ValueError("no cursor of ours")
        return place


@dataclass
class Page:
    rows: list[JournalEntry]
    newer: Cursor | None
    older: Cursor | None


def find(wanted: Search, cursor: Cursor | None, size: int) -> Page:
    """One page of what is found, newest first."""
    older = cursor is None or cursor.older
    if wanted.words:
        numbers = list(islice(journal_text.find(wanted, None if cursor is None else cursor.id, older=older), size + 1))
    else:
        numbers = [number for _, number in _merged(wanted, cursor, older, size + 1)]
    more, numbers = len(numbers) > size, numbers[:size]
    found = JournalEntry.objects.in_bulk(numbers)
    rows = [found[number] for number in (numbers if older else reversed(numbers)) if number in found]
    if not rows:
        return Page([], None, None)
    newer = Cursor(rows[0].at, rows[0].pk, older=False) if (more if not older else cursor is not None) else None
    return Page(rows, newer, Cursor(rows[-1].at, rows[-1].pk) if more or not older else None)


def _merged(wanted: Search, cursor: Cursor | None, older: bool, limit: int) -> list[tuple[datetime, int]]:
    """The first keys of all branches together. A row that is in two of them is there once."""
    keys: set[tuple[datetime, int]] = set()
    for branch in wanted.branches:
        keys.update(_keys(wanted, branch, cursor, older)[:limit])
    return sorted(keys, reverse=older)[:limit]


def _keys(
    wanted: Search, branch: Branch, cursor: Cursor | None, older: bool
) -> QuerySet[JournalEntry, tuple[datetime, int]]:
    """(at, id) out of the index alone, unless there are conditions besides."""
    rows = JournalEntry.objects.filter(branch.which, opaque(wanted.besides), wanted.in_time, _beyond(cursor, older))
    keys = ["-at", "-pk"] if older else ["at", "pk"]
    lead = [branch.lead if older else f"-{branch.lead}"] if branch.lead else []
    return rows.order_by(*lead, *keys).values_list("at", "pk")


def _beyond(cursor: Cursor | None, older: bool) -> Q:
    """On the other side of the cursor. Said so that no database takes it for two searches."""
    if cursor is None:
        return Q()
    if older:
        return Q(at__lte=cursor.at) & ~Q(at=cursor.at, pk__gte=cursor.id)
    return Q(at__gte=cursor.at) & ~Q(at=cursor.at, pk__lte=cursor.id)


def following(chain: list[JournalEntry], limit: int) -> list[JournalEntry]:
    """Rows of the commands that a chain names which are not in it: steps that a command took later, by itself."""
    told = [row.data for row in chain if isinstance(row.data, dict)]
    numbers = sorted({data["command"] for data in told if type(data.get("command")) is int})
    known = {row.pk for row in chain}
    found: list[JournalEntry] = []
    for number in numbers:
        if len(found) >= limit:
            break
        holds = Q(verb__startswith="command.", data__command=number)
        steps = journal_text.find(Search(besides=holds, words=("command", str(number))), min(known) - 1, older=False)
        found += [row for row in JournalEntry.objects.filter(pk__in=list(islice(steps, limit))) if row.pk not in known]
    return found[:limit]
