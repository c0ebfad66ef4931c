"""`reports/` and `reports/{name}/`: as JSON, and as rows for spreadsheets. All need `journal.view`; each view is journalled."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.http import Http404, HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import csv_rows, journal, permissions, reports
from accounts.models import JournalEntry, User
from accounts.reports import Asked
from robotctl.strict import StrictSerializer, once

USUAL = timedelta(days=7)
LONGEST = timedelta(days=366)
YEARS = (2000, 2999)


class ReportQuery(StrictSerializer):
    """`from`, `until` (times with a zone, else UTC; the last 7 days), `robot`, `person`, `as` (json, csv)."""

    until = serializers.DateTimeField(required=False)
    robot = serializers.CharField(required=False, allow_blank=True, max_length=40)
    person = serializers.CharField(required=False, allow_blank=True, max_length=150)

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        fields["from"] = serializers.DateTimeField(required=False)  # keywords of Python, not of the API
        fields["as"] = serializers.ChoiceField(["json", "csv"], default="json")
        return fields

    def validate_robot(self, slug: str) -> str:
        """One that is registered, or that the journal knows: a robot that was retired has its record."""
        known = slug == "" or any(getattr(one, "slug", "") == slug for make in reports.reviewed for one in make())
        if not known and not JournalEntry.objects.filter(robot=slug).exists():
            raise serializers.ValidationError(f"There is no robot {slug!r}.")
        return slug

    def validate_person(self, name: str) -> User | None:
        person = User.objects.filter(username=name).first()
        if name and person is None:
            raise serializers.ValidationError(f"There is no person {name!r}.")
        return person

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        until = attrs.get("until") or timezone.now()
        for name in ("from", "until"):
            if name in attrs and not YEARS[0] <= attrs[name].year <= YEARS[1]:
                raise serializers.ValidationError({name: f"A year from {YEARS[0]} to {YEARS[1]}."})
        begins = attrs.get("from") or until - USUAL
        if begins >= until:
            raise serializers.ValidationError({"from": "Must be before until."})
        if until - begins > LONGEST:
            raise serializers.ValidationError({"from": f"At most {LONGEST.days} days at once."})
        return {**attrs, "asked": Asked(begins, until, attrs.get("robot", ""), attrs.get("person"))}


class ReportRow(serializers.Serializer[Any]):
    """A report that there is."""

    report = serializers.CharField()
    title = serializers.CharField()
    words = serializers.CharField()


class ReportReply(serializers.Serializer[Any]):
    """One shape for all reports."""

    report = serializers.CharField()
    title = serializers.CharField()
    words = serializers.CharField()
    period = serializers.JSONField(help_text='{"from", "until"}')
    robot = serializers.CharField(allow_null=True)
    person = serializers.CharField(allow_null=True)
    made_at = serializers.DateTimeField()
    made_by = serializers.CharField()
    figures = serializers.JSONField(help_text='[{"name", "value", "unit", "words"}]')
    tables = serializers.JSONField(
        help_text='[{"name", "title", "words", "columns": [{"name", "title", "unit"}], "rows", "links", "total"}]'
    )
    charts = serializers.JSONField(
        help_text='[{"name", "title", "unit", "kind", "series": [{"name", "points": [[label, value]]}]}]'
    )


def listed() -> list[dict[str, str]]:
    """`[{"report","title","words"}]`"""
    return [{"report": name, "title": one.title, "words": one.words} for name, one in sorted(reports.REPORTS.items())]


def viewed(name: str, asked: Asked, by: User, shape: str) -> dict[str, Any]:
    """A report, and its row in the journal: who looks at the record is in it. Raises Http404."""
    if name not in reports.REPORTS:
        raise Http404
    with transaction.atomic():
        found = reports.made(name, asked, by)
        data = {**found["period"], "robot": asked.robot or None, "as": shape}
        journal.record("report.viewed", name, person=asked.person, data=data)
    return found


class Reports(APIView):
    """The reports that there are, each with what it tells; needs `journal.view`."""

    @extend_schema(responses=ReportRow(many=True))
    def get(self, request: Request) -> Response:
        permissions.require(request.user, "journal.view")
        return Response({"results": listed()})


class ReportDetail(APIView):
    """One report of a period (the last 7 days, at most 366), of one robot or person, or of all; needs `journal.view`.

    With `?as=csv` the same as rows: figures, then each table under its title. Raises 400 with the field, 404.
    """

    @extend_schema(
        parameters=[
            OpenApiParameter("from", str),
            OpenApiParameter("until", str),
            OpenApiParameter("robot", str),
            OpenApiParameter("person", str),
            OpenApiParameter("as", str, enum=["json", "csv"]),
        ],
        responses=ReportReply,
    )
    def get(self, request: Request, report: str) -> HttpResponse:
        permissions.require(request.user, "journal.view")
        assert isinstance(request.user, User)
        query = ReportQuery(data=once(request.query_params))
        query.is_valid(raise_exception=True)
        shape = query.validated_data["as"]
        found = viewed(report, query.validated_data["asked"], request.user, shape)
        if shape == "json":
            return Response(found)
        answer = HttpResponse(list(csv_rows.lines(_lines(found))), content_type="text/csv; charset=utf-8")
        day = found["period"]["until"][:10]
        answer["Content-Disposition"] = f'attachment; filename="robotctl-{report}-{day}.csv"'
        return answer


def _lines(found: dict[str, Any]) -> Iterable[list[Any]]:
    """What it is and of when, the figures, and each table with its title and columns."""
    yield ["report", found["title"]]
    for name in ("from", "until"):
        yield [name, found["period"][name]]
    for name in ("robot", "person", "made_at", "made_by"):
        yield [name, found[name] or "all"]
    yield []
    yield ["figure", "value", "unit", "words"]
    for one in found["figures"]:
        yield [one["name"], one["value"], one["unit"], one["words"]]
    for table in found["tables"]:
        yield []
        yield ["table", table["title"], f"{len(table['rows'])} of {table['total']} rows"]
        yield [one["title"] + (f" ({one['unit']})" if one["unit"] else "") for one in table["columns"]]
        yield from table["rows"]
