"""`monitoring/metrics/…` and `robots/{slug}/history/`: what is measured now, and what was."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import OuterRef, Subquery
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import permissions
from accounts.journal import iso
from firmware.views import robot_or_404
from monitoring import history, sampling
from monitoring.models import Sample, Series, in_ms
from robotctl.strict import StrictSerializer, once

USUAL, LONGEST = timedelta(hours=1), timedelta(days=731)
LIVE_FOR = timedelta(seconds=3 * sampling.EVERY_S + 1)  # longer without a sample, and the host is not being measured
SHOWN_FOR = timedelta(minutes=5)  # then a number is no longer shown as one
YEARS = (2000, 2999)


class HistoryQuery(StrictSerializer):
    """`metric`, `from`, `to` (the last hour), `points` (at most so many; 300)."""

    metric = serializers.CharField(max_length=60)
    to = serializers.DateTimeField(required=False)
    points = serializers.IntegerField(min_value=2, max_value=5_000, default=300)

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        fields["from"] = serializers.DateTimeField(required=False)  # a keyword of Python, not of the API
        return fields

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in ("from", "to"):
            if name in attrs and not YEARS[0] <= attrs[name].year <= YEARS[1]:
                raise serializers.ValidationError({name: f"A year from {YEARS[0]} to {YEARS[1]}."})
        until = attrs.get("to") or timezone.now()
        begins = attrs.get("from") or until - USUAL
        if begins >= until:
            raise serializers.ValidationError({"from": "Must be before to."})
        if until - begins > LONGEST:
            raise serializers.ValidationError({"from": f"At most {LONGEST.days} days at once."})
        return {**attrs, "span": history.Span(begins, until, attrs["points"])}


class HostHistoryQuery(HistoryQuery):
    host = serializers.CharField(max_length=70, required=False)


class HistoryReply(serializers.Serializer[Any]):
    metric = serializers.CharField()
    unit = serializers.CharField()
    resolution_s = serializers.FloatField()
    points = serializers.JSONField(help_text="[[at, min, mean, max], …]; where none is, nothing was measured.")


class HostMetrics(serializers.Serializer[Any]):
    """What one host did last. `age_s` and `quality` (live, stale, never) are of `observed_at`; more than 5 minutes old: nulls."""

    host = serializers.CharField()
    observed_at = serializers.CharField(allow_null=True)
    age_s = serializers.FloatField(allow_null=True)
    quality = serializers.ChoiceField(["live", "stale", "never"])
    cpu_percent = serializers.FloatField(allow_null=True)
    memory_percent = serializers.FloatField(allow_null=True)
    disk_percent = serializers.FloatField(allow_null=True)
    network_rx_bytes_per_s = serializers.FloatField(allow_null=True)
    network_tx_bytes_per_s = serializers.FloatField(allow_null=True)


class MetricsReply(HostMetrics):
    hosts = HostMetrics(many=True)


PARAMETERS = [
    OpenApiParameter("metric", str, required=True),
    OpenApiParameter("from", str),
    OpenApiParameter("to", str),
    OpenApiParameter("points", int),
]


class Metrics(APIView):
    """What this host does now, and each other one under `hosts`. Needs `monitoring.view`.

    Every metric by its name, its unit at the end of it (`cpu_percent`, `network_rx_bytes_per_s`); a host that is not measured any more
    is `stale`, and after five minutes shows no numbers.
    """

    @extend_schema(responses=MetricsReply)
    def get(self, request: Request) -> Response:
        permissions.require(request.user, "monitoring.view")
        found = hosts()
        nothing = _shape(sampling.HOST.removeprefix("host:"), {})
        first = next((one for one in found if one["host"] == nothing["host"]), found[0] if found else nothing)
        return Response(first | {"hosts": found})


class MetricsHistory(APIView):
    """One metric of a host over time; `?host=` names another one than this. Needs `monitoring.view`."""

    @extend_schema(parameters=[*PARAMETERS, OpenApiParameter("host", str)], responses=HistoryReply)
    def get(self, request: Request) -> Response:
        permissions.require(request.user, "monitoring.view")
        asked = HostHistoryQuery(data=once(request.query_params))
        asked.is_valid(raise_exception=True)
        source = f"host:{asked.validated_data['host']}" if "host" in asked.validated_data else sampling.HOST
        return _history(source, asked.validated_data)


class RobotHistory(APIView):
    """One metric of a robot over time: a field that its profile records, `link_latency_ms` or `link_answered`. Needs `robot.view`."""

    @extend_schema(parameters=PARAMETERS, responses=HistoryReply)
    def get(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug)
        asked = HistoryQuery(data=once(request.query_params))
        asked.is_valid(raise_exception=True)
        return _history(f"robot:{robot.slug}", asked.validated_data)


def _history(source: str, asked: dict[str, Any]) -> Response:
    found = history.of(source, asked["metric"], asked["span"], timezone.now())
    if not found["points"]:
        there = sorted(Series.objects.filter(source=source).values_list("metric", flat=True))
        if asked["metric"] not in there:
            words = f"There is no such metric; there are {', '.join(there)}." if there else "Nothing was measured yet."
            raise serializers.ValidationError({"metric": words})
    return Response(found)


def hosts() -> list[dict[str, Any]]:
    """In two queries: the hosts with their series, and the last sample of each."""
    last = Sample.objects.filter(series=OuterRef("pk")).order_by("-at_ms")
    series = Series.objects.filter(source__startswith="host:")
    rows = series.annotate(at_ms=Subquery(last.values("at_ms")[:1]), value=Subquery(last.values("value")[:1]))
    found: dict[str, dict[str, tuple[int, float]]] = {}
    for source, metric, at_ms, value in rows.values_list("source", "metric", "at_ms", "value").order_by("source"):
        if at_ms is not None:
            found.setdefault(source, {})[metric] = (at_ms, value)
    return [_shape(source.removeprefix("host:"), values) for source, values in found.items()]


def _shape(host: str, values: dict[str, tuple[int, float]]) -> dict[str, Any]:
    now, newest = timezone.now(), max((at for at, _ in values.values()), default=None)
    age_ms = None if newest is None else max(0, in_ms(now) - newest)
    is_shown = age_ms is not None and age_ms <= SHOWN_FOR.total_seconds() * 1_000
    live = age_ms is not None and age_ms <= LIVE_FOR.total_seconds() * 1_000
    # Of the same moment, all of them: a rate that is missing now is not the one of before.
    shown = {name: value for name, (at, value) in values.items() if is_shown and at == newest}
    always = dict.fromkeys(set(HostMetrics().fields) - {"host", "observed_at", "age_s", "quality"})
    return {
        **always,
        **shown,
        "host": host,
        "observed_at": None if newest is None else iso(datetime.fromtimestamp(newest / 1_000, UTC)),
        "age_s": None if age_ms is None else round(age_ms / 1_000, 1),
        "quality": "never" if age_ms is None else "live" if live else "stale",
    }
