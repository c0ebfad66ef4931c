"""Samples made into minutes, minutes into quarters of an hour, these into hours: incrementally, and again wherever a sample comes late.

Samples have ids in the order in which they can be seen, so what is new are those beyond the last one that was looked at. Of each stretch
of time that a new sample lies in, the whole is worked out anew: a sample that comes late or twice changes nothing but its own stretch.
"""

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from monitoring.models import RolledUp, Rollup, Sample, in_ms

MINUTE_S, QUARTER_S, HOUR_S = 60, 900, 3_600
KEPT = {  # how long each resolution is kept; 0: the samples themselves
    0: timedelta(hours=24),
    MINUTE_S: timedelta(days=14),
    QUARTER_S: timedelta(days=90),
    HOUR_S: timedelta(days=730),
}
AT_ONCE = 20_000  # samples in one transaction
PRUNED_AT_ONCE = 5_000
STRETCHES = """SELECT DISTINCT series_id, at_ms - at_ms %% {ms} AS began FROM monitoring_sample WHERE id > %(after)s AND id <= %(last)s"""
INTO = (
    """INSERT INTO monitoring_rollup (series_id, resolution_s, at_ms, minimum, maximum, total, count, last, last_ms)"""
)
AGAIN = """ON CONFLICT (series_id, resolution_s, at_ms) DO UPDATE SET minimum = excluded.minimum, maximum = excluded.maximum,
    total = excluded.total, count = excluded.count, last = excluded.last, last_ms = excluded.last_ms"""
OF_SAMPLES = f"""WITH touched AS ({STRETCHES.format(ms=MINUTE_S * 1_000)}), made AS (
    SELECT touched.series_id, began, min(value) AS low, max(value) AS high, sum(value) AS total, count(*) AS many, max(at_ms) AS newest
    FROM touched JOIN monitoring_sample AS one
        ON one.series_id = touched.series_id AND one.at_ms >= began AND one.at_ms < began + {MINUTE_S * 1_000}
    GROUP BY touched.series_id, began)
    {INTO} SELECT made.series_id, {MINUTE_S}, began, low, high, total, many, value, newest
    FROM made JOIN monitoring_sample AS final ON final.series_id = made.series_id AND final.at_ms = newest WHERE true {AGAIN}"""  # noqa: S608 - our own numbers
OF_ROLLUPS = f"""WITH touched AS ({STRETCHES}), made AS (
    SELECT touched.series_id, began, min(minimum) AS low, max(maximum) AS high, sum(total) AS total, sum(count) AS many,
        max(last_ms) AS newest
    FROM touched JOIN monitoring_rollup AS one ON one.series_id = touched.series_id AND one.resolution_s = {{finer}}
        AND one.at_ms >= began AND one.at_ms < began + {{ms}}
    GROUP BY touched.series_id, began)
    {INTO} SELECT made.series_id, {{ms}} / 1000, began, low, high, made.total, many, final.last, newest
    FROM made JOIN monitoring_rollup AS final ON final.series_id = made.series_id AND final.resolution_s = {{finer}}
        AND final.last_ms = newest AND final.at_ms >= began AND final.at_ms < began + {{ms}} WHERE true {AGAIN}"""  # noqa: S608 - our own numbers


def roll_up(*, at_once: int = AT_ONCE) -> int:
    """All samples that are new, in transactions of so many. Returns how many there were. Any number of processes may do so at a time."""
    newest = Sample.objects.aggregate(newest=Max("pk"))["newest"] or 0
    RolledUp.objects.get_or_create(pk=1)
    done = 0
    while True:
        with transaction.atomic():
            mark = RolledUp.objects.select_for_update().get(pk=1)
            after, last = mark.last_id, min(mark.last_id + at_once, newest)
            if last <= after:
                return done
            with connection.cursor() as cursor:
                which = {"after": after, "last": last}
                cursor.execute(OF_SAMPLES, which)
                cursor.execute(OF_ROLLUPS.format(ms=QUARTER_S * 1_000, finer=MINUTE_S), which)
                cursor.execute(OF_ROLLUPS.format(ms=HOUR_S * 1_000, finer=QUARTER_S), which)
            mark.last_id = last
            mark.save()
            done += last - after


def prune(now: datetime | None = None, *, at_once: int = PRUNED_AT_ONCE) -> int:
    """Delete what is older than it is kept, in transactions of so many rows. Samples that are not rolled up stay. Returns how many."""
    now = now or timezone.now()
    mark = RolledUp.objects.filter(pk=1).values_list("last_id", flat=True).first() or 0
    done = 0
    while (gone := _prune_samples(_oldest_ms(now, 0), mark, at_once)) > 0:
        done += gone
    for resolution_s in (MINUTE_S, QUARTER_S, HOUR_S):
        old = Rollup.objects.filter(resolution_s=resolution_s, at_ms__lt=_oldest_ms(now, resolution_s))
        while some := list(old.order_by("at_ms").values_list("pk", flat=True)[:at_once]):
            done += Rollup.objects.filter(pk__in=some).delete()[0]
    return done


def _prune_samples(oldest_ms: int, mark: int, at_once: int) -> int:
    """Of the first ones only: ids come in the order of time, but for what was late, which is reached when it is among them."""
    first = Sample.objects.filter(pk__lte=mark).order_by("pk").values_list("pk", "at_ms")[:at_once]
    old = [pk for pk, at_ms in first if at_ms < oldest_ms]
    return Sample.objects.filter(pk__in=old).delete()[0] if old else 0


def _oldest_ms(now: datetime, resolution_s: int) -> int:
    """By whole hours: no stretch is left with a part of what it was made of."""
    oldest = in_ms(now - KEPT[resolution_s])
    return oldest - oldest % (HOUR_S * 1_000)
