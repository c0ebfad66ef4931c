"""Walks along the seals of the database and their rows, in the memory of one seal."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Max

from accounts import archives, sealed_rows, seals
from accounts import seal_format as form
from accounts.examine import BEFORE_ALL, Examination, Finding, Report
from accounts.journal_models import JournalEntry, Seal

BATCH = 100


@dataclass
class Walk:
    """What was found from seal to seal; `next`: where to go on, None when it came to the last one."""

    report: Report
    next: int | None

    @property
    def to_seal(self) -> int:
        return int(self.report.last["number"]) if self.report.last else 0


def walk(*, from_seal: int = 1, budget_s: float | None = None) -> Walk:
    """Examine the seals from this one on, as many as there is time for, and at least one."""
    ends = None if budget_s is None else time.monotonic() + budget_s
    nearest = Seal.objects.filter(number__lt=from_seal).aggregate(number=Max("number"))["number"]
    before = sealed_rows.read_seals(Seal.objects.filter(number=nearest), limit=1)
    after = before[0] if before else BEFORE_ALL
    examination = Examination(seals.trusted(), after=after, archived=archives.Known())
    rows = _Rows(after["last_id"])
    for seal, upto in _with_ends(after["number"]):
        try:
            for row in rows.upto(upto):
                examination.row(row)
            examination.seal(seal)
        except (TypeError, ValueError, OverflowError) as error:
            words = f"Seal {seal['number']} or its rows cannot be read ({error})."
            examination.report.add(Finding("seal_altered", words, seal["number"]))
        if ends is not None and time.monotonic() >= ends:
            more = Seal.objects.filter(number__gt=seal["number"]).exists()
            return Walk(examination.finish(), seal["number"] + 1 if more else None)
    return Walk(examination.finish(), None)


class _Rows:
    """The rows in their order, each once, read thousands at a time however small the seals are."""

    def __init__(self, after: int) -> None:
        self._source = sealed_rows.read(JournalEntry.objects.filter(pk__gt=after))
        self._waiting: form.Row | None = None

    def upto(self, last: int) -> Iterator[form.Row]:
        while (row := self._waiting or next(self._source, None)) is not None:
            self._waiting = row if row["id"] > last else None
            if self._waiting:
                return
            yield row


def _with_ends(after: int) -> Iterator[tuple[form.Seal, int]]:
    """Each seal, and the id of the last row that is its own. That of an altered seal is not believed if the next one tells."""
    waiting: form.Seal | None = None
    while found := sealed_rows.read_seals(Seal.objects.filter(number__gt=after), limit=BATCH):
        for seal in found:
            if waiting is not None:
                yield waiting, waiting["last_id"] if form.is_signed(waiting) else seal["first_id"] - 1
            waiting = seal
        after = found[-1]["number"]
    if waiting is not None:
        yield waiting, waiting["last_id"]
