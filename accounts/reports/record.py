"""The record itself: is it whole, sealed, guarded, and how much of it is there."""

from typing import Any

from django.db.models import Count, F, Max, Min, Q, Window
from django.db.models.functions import Lag

from accounts import journal_checks, journal_guard
from accounts.journal import iso
from accounts.models import JournalArchive, JournalCheck, JournalEntry, Seal
from accounts.reports import Asked, Parts
from accounts.reports.rows import by_day, journal_page, listing, names, within
from accounts.reports.shapes import LONGEST, TIME, chart, column, figure, table

GAPS_SHOWN = 100


def make(asked: Asked) -> Parts:
    """Of the whole record, whatever robot or person was asked for."""
    asked = asked._replace(robot="", person=None)
    rows = within(asked).aggregate(
        many=Count("pk"), late=Count("pk", filter=Q(late=True)), low=Min("pk"), high=Max("pk")
    )
    gaps, missing = _gaps(rows["low"], rows["high"])
    checks = JournalCheck.objects.filter(ended_at__gte=asked.begins, ended_at__lt=asked.until)
    found = _found(checks)
    triggers = journal_guard.missing()
    seals = Seal.objects.filter(sealed_at__gte=asked.begins, sealed_at__lt=asked.until)
    unsealed = _unsealed()
    return {
        "figures": [
            figure("rows", rows["many"], "Rows written in the period"),
            figure("late", rows["late"], "Rows recorded late"),
            figure(
                "missing_ids", missing, "Numbers that no row has; a transaction that was taken back leaves such a gap"
            ),
            figure("seals", seals.count(), "Seals made in the period"),
            figure("unsealed", unsealed["many"], "Rows that are not sealed yet, now"),
            figure("unsealed_since", iso(unsealed["oldest"]), "The oldest of these", TIME),
            figure("checks", checks.count(), "Checks of the seals"),
            figure("findings", len(found), "What these checks found wrong", if_any="critical"),
            figure(
                "missing_triggers",
                len(triggers),
                "Triggers of the database that should refuse changes and are not there, or do something else",
                if_any="critical",
            ),
        ],
        "tables": [
            _findings(found),
            table("triggers", "Missing triggers", [column("name")], [(one,) for one in triggers]),
            gaps,
            _archives(),
            listing("late", "Rows recorded late", within(asked).filter(late=True), names()),
            _days(asked),
        ],
        "charts": [chart("days", "Rows each day (UTC)", "rows", "line", {"rows": list(by_day_rows(asked))})],
    }


def _unsealed() -> dict[str, Any]:
    tail = JournalEntry.objects.filter(pk__gt=Seal.objects.aggregate(last=Max("last_id"))["last"] or 0)
    return tail.aggregate(many=Count("pk"), oldest=Min("at"))


def by_day_rows(asked: Asked) -> list[tuple[str, int]]:
    """Rows, each counted once, whatever it stands for."""
    return by_day(within(asked), asked, each=Count("pk"))


def _gaps(low: int | None, high: int | None) -> tuple[dict[str, Any], int]:
    """Numbers between the first and the last row of the period that no row has, but those that were archived."""
    columns = [column("after", "After row"), column("before", "Before row"), column("missing", "Numbers missing")]
    archived = JournalArchive.objects.aggregate(last=Max("last_id"))["last"] or 0
    first = max(low or 0, archived + 1)
    if low is None or high is None or first > high:
        return table("gaps", "Gaps in the numbers", columns, []), 0
    there = JournalEntry.objects.filter(pk__gte=first, pk__lte=high).order_by()
    missing = high - max(low, there.aggregate(first=Min("pk"))["first"] or high) + 1 - there.count()
    stepped = there.annotate(before=Window(Lag("pk"), order_by="pk"))
    wide = stepped.filter(before__lt=F("pk") - 1).values_list("before", "pk")[:GAPS_SHOWN]
    rows = [(before, after, after - before - 1) for before, after in wide]
    links = [journal_page(id=after) for _, after in wide]
    return table("gaps", "Gaps in the numbers", columns, rows, links=links), missing


def _found(checks: Any) -> list[tuple[JournalCheck, dict[str, Any]]]:
    """Each finding once, as the last check that found it tells it."""
    found: dict[Any, tuple[JournalCheck, dict[str, Any]]] = {}
    for check in checks[:LONGEST]:
        for one in check.findings:
            found.setdefault(journal_checks.identity(one), (check, one))
    return list(found.values())


def _findings(found: list[tuple[JournalCheck, dict[str, Any]]]) -> dict[str, Any]:
    columns = [
        column("at", "Found last", TIME),
        column("kind"),
        column("row"),
        column("seal"),
        column("words", "What is wrong"),
    ]
    rows = [
        (iso(check.ended_at), one.get("kind"), one.get("id"), one.get("seal"), one.get("words")) for check, one in found
    ]
    return table("findings", "What checks found", columns, rows)


def _archives() -> dict[str, Any]:
    columns = [
        column("made_at", "Made", TIME),
        column("file"),
        column("first_id", "First row"),
        column("last_id", "Last row"),
    ]
    columns += [column("count", "Rows"), column("sha256", "SHA-256")]
    rows = JournalArchive.objects.all()
    cells = [(iso(one.made_at), one.file, one.first_id, one.last_id, one.count, one.sha256) for one in rows[:LONGEST]]
    return table("archives", "Archives", columns, cells, total=rows.count())


def _days(asked: Asked) -> dict[str, Any]:
    return table("days", "Rows each day", [column("day"), column("rows")], by_day_rows(asked))
