"""A series over a span of time: in the coarsest resolution that still shows as many points as are asked for. Gaps stay gaps."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db.models import BigIntegerField, F, FloatField, Max, Min, QuerySet, Sum, Value
from django.db.models.functions import Cast, Mod

from accounts.journal import iso
from monitoring.models import Rollup, Sample, Series, in_ms
from monitoring.rollups import HOUR_S, KEPT, MINUTE_S, QUARTER_S


class Span(NamedTuple):
    begins: datetime
    until: datetime
    points: int


def of(source: str, metric: str, span: Span, now: datetime) -> dict[str, Any]:
    """`{"metric", "unit", "resolution_s", "points": [[at, min, mean, max], …]}`, at most as many points as are asked for.

    `resolution_s`: a point stands for so long; where none follows within that, nothing was measured.
    """
    series = Series.objects.filter(source=source, metric=metric).first()
    stretch_ms, resolution_s = _stretch(span, now)
    points = [] if series is None else _points(series, span, stretch_ms, resolution_s)
    unit = series.unit if series else ""
    return {"metric": metric, "unit": unit, "resolution_s": stretch_ms / 1_000, "points": points}


def _stretch(span: Span, now: datetime) -> tuple[int, int]:
    """How long a point stands for (ms), and the resolution that it is made of (s; 0: samples)."""
    span_ms = in_ms(span.until) - in_ms(span.begins)
    least_ms = -(-span_ms // max(1, span.points - 1))  # one less: a span begins and ends within a stretch
    finest = [one for one in (0, MINUTE_S, QUARTER_S, HOUR_S) if span.begins >= now - KEPT[one]] or [HOUR_S]
    resolution_s = max([one for one in finest if one * 1_000 <= least_ms], default=finest[0])
    step_ms = resolution_s * 1_000 or 1_000
    return -(-max(least_ms, step_ms) // step_ms) * step_ms, resolution_s


def _points(series: Series, span: Span, stretch_ms: int, resolution_s: int) -> list[list[Any]]:
    begins_ms = in_ms(span.begins)
    if resolution_s:
        begins_ms -= begins_ms % (resolution_s * 1_000)  # the stretch in which the span begins belongs to it
    within = {"series": series, "at_ms__gte": begins_ms, "at_ms__lt": in_ms(span.until)}
    rows: QuerySet[Any]
    if resolution_s:
        rows = Rollup.objects.filter(resolution_s=resolution_s, **within)
        figures = {"low": Min("minimum"), "high": Max("maximum"), "total_": Sum("total"), "many": Sum("count")}
    else:
        rows = Sample.objects.filter(**within)
        one = Value(1, output_field=BigIntegerField())
        figures = {"low": Min("value"), "high": Max("value"), "total_": Sum("value"), "many": Sum(one)}
    began = F("at_ms") - Mod("at_ms", Value(stretch_ms), output_field=BigIntegerField())
    found = rows.annotate(began=Cast(began, BigIntegerField())).order_by("began").values("began")
    stretches = found.annotate(**figures, mean=Cast(F("total_"), FloatField()) / Cast(F("many"), FloatField()))
    return [
        [iso(datetime.fromtimestamp(began / 1_000, UTC)), low, mean, high]
        for began, low, mean, high in stretches.values_list("began", "low", "mean", "high")
    ]
