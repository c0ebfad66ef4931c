"""Looking for words, in the order of ids.

An index of words is quick for words that few rows have. For those that many have it is quicker to look at the rows themselves,
the newest first. So a few hundred rows are looked at, and then the index is asked for the rest.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import Q, TextField
from django.db.models.functions import Cast

from accounts import journal_words
from accounts.journal_filters import Search, opaque
from accounts.models import JournalEntry

NEAR, AT_ONCE = 500, 250  # rows that are looked at, and how many of them at a time
FREQUENT = 10  # while one row in so many has the words, it goes on like that
WALKED = 100  # ids that are wanted of the index of words at a time: a page of them
GROWTH, MOST_BUCKETS = 4, 64  # of ids, that PostgreSQL is asked about: how many times more, and how many at once
SKEW = timedelta(hours=1)  # by which a row's time and its place among the ids may differ, unless it is late
LAST = 2**63 - 1
TEXTS = (*journal_words.COLUMNS, Cast("data", TextField()))
Span = tuple[int, int]  # first and last id


def find(wanted: Search, cursor: int | None = None, *, older: bool = True) -> Iterator[int]:
    """Ids of all rows with the words that are found, from the newest (or beyond the cursor) to the oldest, or the other way."""
    main, late = _span(wanted)
    beyond = [pk for pk in late if cursor is None or (pk < cursor if older else pk > cursor)]
    afterwards = sorted(beyond, reverse=older)
    if older:
        yield from _among(afterwards, wanted, older=older)
    if cursor is not None:
        main = (main[0], min(main[1], cursor - 1)) if older else (max(main[0], cursor + 1), main[1])
    yield from _in_span(wanted, main, older=older)
    if not older:
        yield from _among(afterwards, wanted, older=older)


def first_id(wanted: Search) -> int:
    """No row that is found has a smaller id."""
    if wanted.since is None:
        return 0
    following = (
        JournalEntry.objects.filter(at__gte=wanted.since - SKEW).order_by("at", "pk").values_list("pk", flat=True)
    )
    return min([*following.filter(late=False)[:100], *following.filter(late=True)[:100]], default=LAST)


def _span(wanted: Search) -> tuple[Span, list[int]]:
    """Where to look, and what lies after it: what was recorded late stands among what happened later."""
    first = first_id(wanted)
    if wanted.until is None:
        return (first, LAST), []
    before = JournalEntry.objects.filter(late=False, at__lt=wanted.until + SKEW).order_by("-at", "-pk")
    last = max(before.values_list("pk", flat=True)[:100], default=0)
    late = JournalEntry.objects.filter(wanted.in_time, late=True).order_by("-at", "-pk").values_list("pk", flat=True)
    return (first, last), [pk for pk in late if pk > last]


def _among(numbers: list[int], wanted: Search, *, older: bool) -> Iterator[int]:
    for start in range(0, len(numbers), AT_ONCE):
        rows = JournalEntry.objects.filter(pk__in=numbers[start : start + AT_ONCE]).order_by("-pk" if older else "pk")
        matching = _matching(rows.values_list("pk", *TEXTS), list(wanted.words))
        yield from _that_hold(matching, wanted.condition, older=older)


def _in_span(wanted: Search, span: Span, *, older: bool) -> Iterator[int]:
    words, condition = list(wanted.words), wanted.condition
    first, last = span
    looked_at = matching = 0
    while (looked_at < NEAR or matching * FREQUENT > looked_at) and first <= last:
        rows = JournalEntry.objects.filter(opaque(wanted.in_time), pk__gte=first, pk__lte=last)
        chunk = list(rows.order_by("-pk" if older else "pk").values_list("pk", *TEXTS)[:AT_ONCE])
        having = _matching(chunk, words)
        yield from _that_hold(having, condition, older=older)
        looked_at, matching = looked_at + AT_ONCE, matching + len(having)
        if len(chunk) < AT_ONCE:
            return
        first, last = (first, chunk[-1][0] - 1) if older else (chunk[-1][0] + 1, last)
    if first > last:
        return
    asked = _postgresql if connection.vendor == "postgresql" else _sqlite
    yield from asked(words, (first, last), condition, older=older)


def _matching(rows: Iterable[tuple[Any, ...]], words: list[str]) -> list[int]:
    return [pk for pk, *texts, data in rows if journal_words.matches(words, " ".join(texts).lower(), data.lower())]


def _that_hold(numbers: list[int], condition: Q, *, older: bool) -> list[int]:
    if not condition or not numbers:
        return numbers
    found = JournalEntry.objects.filter(opaque(condition), pk__in=numbers).values_list("pk", flat=True)
    return sorted(found, reverse=older)


def _sqlite(words: list[str], span: Span, condition: Q, *, older: bool) -> Iterator[int]:
    """Along the index: it gives ids in their order, one after the other, as they are asked for."""
    query = "SELECT rowid FROM journal_words WHERE journal_words MATCH %s AND rowid BETWEEN %s AND %s ORDER BY rowid "
    with connection.cursor() as cursor:
        cursor.execute(journal_words.ENDINGS, {"beginning": words[-1], "most": journal_words.MOST_TERMS + 1})
        endings = [word for (word,) in cursor.fetchall()]
        match = journal_words.sqlite_query(words, endings if len(endings) <= journal_words.MOST_TERMS else [])
        cursor.execute(query + ("DESC" if older else "ASC"), [match, *span])
        while chunk := [number for (number,) in cursor.fetchmany(WALKED)]:
            yield from _that_hold(chunk, condition, older=older)


def _postgresql(words: list[str], span: Span, condition: Q, *, older: bool) -> Iterator[int]:
    """Buckets of ids from one end to the other, more at a time as long as they hold little: as many as may fill a page."""
    ends = JournalEntry.objects.filter(pk__gte=span[0], pk__lte=span[1]).values_list("pk", flat=True)
    first, last = ends.order_by("pk").first(), ends.order_by("-pk").first()
    if first is None or last is None:
        return
    buckets = range(first >> journal_words.BUCKET_BITS, (last >> journal_words.BUCKET_BITS) + 1)
    if older:
        buckets = buckets[::-1]
    size, asked, total = 1, 0, 0
    while buckets:
        queries = [journal_words.postgresql_query(words, bucket) for bucket in buckets[:size]]
        with connection.cursor() as cursor:
            cursor.execute(journal_words.POSTGRESQL_FIND, [queries])
            found = sorted((number for (number,) in cursor.fetchall() if first <= number <= last), reverse=older)
        for start in range(0, len(found), WALKED):
            yield from _that_hold(found[start : start + WALKED], condition, older=older)
        buckets, asked, total = buckets[size:], asked + size, total + len(found)
        size = min(size * GROWTH, MOST_BUCKETS, max(1, WALKED * asked // max(1, total)))
