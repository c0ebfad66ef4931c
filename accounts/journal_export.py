"""The journal as a file: rows in the order of their ids, each sealed range with its seal, a few hundred rows in memory at a time.

As JSONL it can be checked by `python -m accounts.verify`, anywhere; as CSV it is for a spreadsheet.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from django.utils import timezone

from accounts import csv_rows, journal, journal_text, sealed_rows, seals
from accounts import seal_format as form
from accounts.journal_filters import Search, opaque
from accounts.journal_models import JournalArchive, JournalEntry, Seal

WINDOW, AT_ONCE, WORDS_AT_ONCE, SEALS_AT_ONCE = 5_000, 200, 20_000, 50
TEXTS = ("request_id", "verb", "target", "robot", "outcome", "reason")
NUMBERS = ("actor_id", "person_id", "origin_id")
SHOWN = ("actor", "target", "address", "user_agent")
COLUMNS = (
    "id", "at", "late", "actor", "verb", "target", "robot", "outcome", "reason", "request_id", "address", "user_agent", "data",
)  # fmt: skip
Shown = dict[str, Any]


class Export:
    """One export of what is found up to the row `last`. `rows` counts those that are out; `whole`: it came to its end."""

    def __init__(self, wanted: Search, last: int) -> None:
        self.wanted, self.last = wanted, last
        self.rows, self.seals, self.unsealed, self.whole = 0, 0, 0, False

    def jsonl(self, asked: dict[str, Any]) -> Iterator[str]:
        """The lines of `seal_format`. `asked`: the filter as it was given."""
        file = form.File()
        head = form.head_line(
            exported_at=sealed_rows.timestamp(timezone.now()),
            filtered_by=asked,
            complete=self.wanted.everything,
            public_keys=seals.trusted(),
        )
        yield file.line(head)
        for row, shown, seal in self._items():
            if row is not None:
                yield file.line(form.row_line(row, {name: shown[name] for name in SHOWN}))
            elif seal is not None:
                yield file.line(form.seal_line(seal))
        yield file.end(seals.private_key(), rows=self.rows, seals=self.seals, unsealed=self.unsealed)
        self.whole = True

    def csv(self) -> Iterator[str]:
        """A table as the API shows rows, and the number of each row's seal."""
        rows = ((row, shown, seal) for row, shown, seal in self._items() if row is not None)
        yield from csv_rows.lines([(*COLUMNS, "seal")])
        yield from csv_rows.lines(
            [*(shown[name] for name in COLUMNS), None if seal is None else seal["number"]] for _, shown, seal in rows
        )
        self.whole = True

    def _items(self) -> Iterator[tuple[form.Row | None, Shown, form.Seal | None]]:
        """(row, as it is shown, its seal) for a row, and (None, {}, seal) right after the last row of a seal."""
        beside = Seals(every=self.wanted.everything, last=self.last)
        for row, shown in self._rows():
            for seal in beside.before(row["id"]):
                self.seals, self.unsealed = self.seals + 1, 0
                yield None, {}, seal
            self.rows, self.unsealed = self.rows + 1, self.unsealed + 1
            yield row, shown, beside.of(row["id"])
        for seal in beside.before(None):
            self.seals, self.unsealed = self.seals + 1, 0
            yield None, {}, seal

    def _rows(self) -> Iterator[tuple[form.Row, Shown]]:
        for query in (self._by_words if self.wanted.words else self._by_ids)():
            rows = sealed_rows.read(query)
            while chunk := list(islice(rows, AT_ONCE)):
                yield from zip(chunk, _shown(chunk), strict=True)

    def _by_ids(self) -> Iterator[Any]:
        """Along the ids and no other index: sorting millions of rows takes longer than looking at them."""
        start: int | None = 0
        condition = opaque(self.wanted.condition)
        while start is not None:
            end = min(start + WINDOW - 1, self.last)
            yield JournalEntry.objects.filter(condition, pk__gte=start, pk__lte=end)
            following = JournalEntry.objects.filter(pk__gt=end, pk__lte=self.last).order_by("pk")
            start = following.values_list("pk", flat=True).first()

    def _by_words(self) -> Iterator[Any]:
        place = 0
        while numbers := list(islice(journal_text.find(self.wanted, place, older=False), WORDS_AT_ONCE)):
            for some in range(0, len(numbers), AT_ONCE):
                yield JournalEntry.objects.filter(pk__in=numbers[some : some + AT_ONCE], pk__lte=self.last)
            place = numbers[-1]
            if place >= self.last:
                return


class Seals:
    """The seals beside rows that go by. `every`: also those of which no row goes by."""

    def __init__(self, *, every: bool, last: int) -> None:
        self.every, self.last, self._no_more = every, last, False
        archived = JournalArchive.objects.order_by("-last_id").values_list("last_id", flat=True).first()
        self._ahead = self._read(0 if archived is None else archived + 1) if every else []

    def before(self, number: int | None) -> Iterator[form.Seal]:
        """Those that end before this row (None: before the end), and then the seals from this row on are at hand."""
        while self._ahead and (number is None or self._ahead[0]["last_id"] < number):
            if self._ahead[0]["last_id"] > self.last:
                return  # some of its rows are not in this export
            seal = self._ahead.pop(0)
            yield seal
            if self.every and not self._ahead:
                self._ahead = self._read(seal["last_id"] + 1)
        if number is not None and not self._ahead:
            self._ahead = self._read(number)

    def of(self, number: int) -> form.Seal | None:
        """The seal of this row, if it has one."""
        holds = self._ahead and self._ahead[0]["first_id"] <= number <= self._ahead[0]["last_id"]
        return self._ahead[0] if holds else None

    def _read(self, number: int) -> list[form.Seal]:
        if self._no_more:
            return []
        first = Seal.objects.filter(last_id__gte=number).order_by("last_id").values_list("number", flat=True).first()
        if first is None:
            self._no_more = True  # what is sealed from now on counts as not sealed yet
            return []
        return sealed_rows.read_seals(Seal.objects.filter(number__gte=first), limit=SEALS_AT_ONCE if self.every else 1)


def _shown(rows: Iterable[form.Row]) -> list[Shown]:
    """Rows as the API shows them, also those that somebody made unreadable: it is they that an export is asked for."""
    return [
        {**shown, "id": row["id"], "at": shown["at"] or row["at"]}
        for row, shown in zip(rows, journal.as_dicts(_entry(row) for row in rows), strict=True)
    ]


def _entry(row: form.Row) -> JournalEntry:
    texts = {name: row[name] if isinstance(row[name], str) else str(row[name]) for name in TEXTS}
    numbers = {name: row[name] if type(row[name]) is int else None for name in NUMBERS}
    return JournalEntry(
        pk=row["id"], at=_moment(row["at"]), late=bool(row["late"]), data=row["data"], **texts, **numbers
    )


def _moment(text: Any) -> Any:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
