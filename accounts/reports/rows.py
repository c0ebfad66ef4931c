"""Asking the journal: counted and ranked by the database, so that a week of millions of rows is a matter of its indexes."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.db.models import Count, F, FloatField, IntegerField, Q, QuerySet, Sum, Value, Window
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce, RowNumber, TruncDate

from accounts.journal import iso
from accounts.models import JournalEntry, User
from accounts.reports import Asked
from accounts.reports.shapes import LONGEST, TIME, column, table

Rows = QuerySet[JournalEntry]
COUNT = Coalesce(Cast(KT("data__count"), IntegerField()), Value(1))  # some rows stand for many
EACH = Sum(COUNT)
LONGEST_DRAWN = timedelta(days=92)


def within(asked: Asked, *verbs: str) -> Rows:
    """The rows of the period with one of these verbs (none: all), of the robot and the person that were asked for."""
    rows = JournalEntry.objects.filter(at__gte=asked.begins, at__lt=asked.until).order_by()
    if verbs:
        rows = rows.filter(verb__in=verbs)
    if asked.robot:
        rows = rows.filter(robot=asked.robot)
    if asked.person:
        number = asked.person.pk
        rows = rows.filter(Q(actor_id=number) | Q(person_id=number) | Q(data__by__person=number))
    return rows


def counts(rows: Rows, by: str = "verb") -> dict[Any, int]:
    """Value of `by` → how many happened, those included that one row stands for."""
    return dict(rows.values_list(by).annotate(many=Sum(COUNT)))


def by_day(rows: Rows, asked: Asked, each: Any = EACH) -> list[tuple[str, int]]:
    """[(day, how many)], every day of the period, also those without; of long periods only days that have any."""
    found: dict[date, int] = dict(rows.annotate(day=TruncDate("at")).values_list("day").annotate(many=each))
    if asked.until - asked.begins > LONGEST_DRAWN:
        return [(day.isoformat(), many) for day, many in sorted(found.items())]
    day, last, points = asked.begins.date(), (asked.until - timedelta(microseconds=1)).date(), []
    while day <= last:
        points.append((day.isoformat(), found.get(day, 0)))
        day += timedelta(days=1)
    return points


class Spread(NamedTuple):
    """Of how many; the value that half, and 95 in 100, do not exceed; the greatest."""

    of: int = 0
    half: float | None = None
    most: float | None = None
    longest: float | None = None


def spread(rows: Rows, path: str, by: Any = None) -> dict[Any, Spread]:
    """How the numbers at `path` ("data__took_s") are spread, for each value of `by`; ranked in the database, by nearest rank."""
    ranked = (
        rows.filter(**{f"{path}__gte": 0})
        .annotate(kind=Value("") if by is None else by, number=Cast(KT(path), FloatField()))
        .annotate(
            rank=Window(RowNumber(), partition_by=F("kind"), order_by="number"),
            of=Window(Count("*"), partition_by=F("kind")),
        )
    )
    half, most = (F("of") * 50 + 99) / 100, (F("of") * 95 + 99) / 100
    wanted = ranked.filter(Q(rank=half) | Q(rank=most) | Q(rank=F("of")))
    found: dict[Any, Spread] = {}
    for kind, number, rank, of in wanted.values_list("kind", "number", "rank", "of"):
        known, value = found.get(kind, Spread(of)), round(number, 3)
        known = known._replace(half=value) if rank == (of * 50 + 99) // 100 else known
        known = known._replace(most=value) if rank == (of * 95 + 99) // 100 else known
        found[kind] = known._replace(longest=value) if rank == of else known
    return found


def names() -> Callable[[Any], str]:
    """A person's number → their name; the system has none. One query."""
    known = dict(User.objects.values_list("pk", "username"))
    return lambda number: "system" if number is None else known.get(int(number), f"user {number}")


def journal_page(asked: Asked | None = None, **where: Any) -> str:
    """The address of these rows in the journal; with `asked`, of its period and robot."""
    query = {name: value for name, value in where.items() if value}
    if asked is not None:
        query |= {"since": iso(asked.begins), "until": iso(asked.until)} | (
            {"robot": asked.robot} if asked.robot else {}
        )
    return f"/journal/?{urlencode(query)}"


def of_row(row: JournalEntry) -> str:
    """The address of what belongs to this row: all rows of its request."""
    return journal_page(request_id=row.request_id) if row.request_id else journal_page(id=row.pk)


Cell = tuple[dict[str, str], Callable[[JournalEntry], Any]]  # a column, and how a row fills it


def listing(
    name: str,
    title: str,
    rows: Rows,
    who: Callable[[Any], str],
    more: Sequence[Cell] = (),
    *,
    words: str = "",
) -> dict[str, Any]:
    """A table of single rows, newest first: when, who, robot, what, then `more`, and the reason. Two queries."""
    total, shown = rows.count(), list(rows.order_by("-at", "-pk")[:LONGEST])
    cells: list[Cell] = [
        (column("at", "When", TIME), lambda row: iso(row.at)),
        (column("person", "By"), lambda row: who(row.actor_id)),
        (column("robot"), lambda row: row.robot),
        (column("verb", "What"), lambda row: row.verb),
        *more,
        (column("reason"), lambda row: row.reason),
    ]
    filled = [[fill(row) for _, fill in cells] for row in shown]
    return table(
        name, title, [one for one, _ in cells], filled, links=[of_row(row) for row in shown], total=total, words=words
    )
