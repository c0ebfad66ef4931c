"""`journal/`: the record, searched, one row of it, and what came of one request."""

from collections.abc import Iterable
from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from accounts import journal, journal_search, permissions
from accounts.journal_filters import search
from accounts.journal_search import Cursor
from accounts.models import JournalEntry
from accounts.serializers import JournalRow
from robotctl.strict import StrictSerializer, once

MOST_FOLLOW = 500


NEWEST_FIRST = ("-at", "-id")


class Several(serializers.CharField):
    """One or more words with commas between them."""

    def to_internal_value(self, data: Any) -> Any:
        told = [one for one in super().to_internal_value(data).split(",") if one]
        if not 1 <= len(told) <= 20:
            raise serializers.ValidationError("Give one to twenty, with commas between them.")
        return told


class Place(serializers.CharField):
    """Where the list goes on; from `next` or `previous`."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            return Cursor.read(super().to_internal_value(data))
        except ValueError as error:
            raise serializers.ValidationError("It is none of ours: take it from next or previous.") from error


class JournalFilters(StrictSerializer):
    """What is looked for. All of it must hold."""

    since = serializers.DateTimeField(required=False, help_text="At or after this time.")
    until = serializers.DateTimeField(required=False, help_text="Before this time.")
    actor = serializers.CharField(required=False, help_text="Who did it: a person's name, `system`, or `robot`.")
    person = serializers.CharField(required=False, help_text="Who did it, or to whom it was done.")
    target = serializers.CharField(required=False, help_text="On what, or whom, in full; a part of it is found by `q`.")
    robot = serializers.CharField(required=False)
    verb = Several(required=False, help_text="Verbs, or families as `command.*`, with commas between them.")
    outcome = Several(required=False, help_text="ok, denied, failed, unknown; with commas between them.")
    request_id = serializers.CharField(required=False)
    late = serializers.BooleanField(required=False, help_text="Recorded after the fact.")
    id = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1)
    q = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=500,
        help_text="Words; of the last, the beginning. Rows come by their ids, then.",
    )

    def validate_outcome(self, told: list[str]) -> list[str]:
        if unknown := set(told) - set(JournalEntry.Outcome.values):
            raise serializers.ValidationError(f"There is no outcome {', '.join(sorted(unknown))}.")
        return told


class JournalQuery(JournalFilters):
    cursor = Place(required=False, help_text="Where the list goes on; from `next` or `previous`.")
    page_size = serializers.IntegerField(required=False, default=100, min_value=1, max_value=1_000)


class JournalPage(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = JournalRow(many=True)


class Chain(serializers.Serializer[Any]):
    request_id = serializers.CharField()
    results = JournalRow(many=True)


def asked(request: Request, kind: type[StrictSerializer], *, besides: Iterable[str] = ()) -> dict[str, Any]:
    """The parameters of the address. One that is not known, or that is there twice, is refused: rows would look filtered."""
    if "page" in request.query_params:
        words = "The journal is too long for pages by number: follow next and previous."
        raise serializers.ValidationError({"page": words})
    if request.query_params.get("ordering", "-at") not in NEWEST_FIRST:
        raise serializers.ValidationError(
            {"ordering": "The journal comes newest first; an export is in the order of ids."}
        )
    given = kind(
        data={name: value for name, value in once(request.query_params).items() if name not in (*besides, "ordering")}
    )
    given.is_valid(raise_exception=True)
    told: dict[str, Any] = given.validated_data
    return told


class Journal(APIView):
    """The record, newest first; needs `journal.view`. `{"next", "previous", "results"}`; there is no count and no page number."""

    @extend_schema(operation_id="journal_list", parameters=[JournalQuery], responses=JournalPage)
    def get(self, request: Request) -> Response:
        permissions.require(request.user, "journal.view")
        told = asked(request, JournalQuery)
        cursor = told.pop("cursor", None)
        page = journal_search.find(search(told), cursor, told.pop("page_size"))
        return Response(
            {
                "next": _link(request, page.older),
                "previous": _link(request, page.newer),
                "results": journal.as_dicts(page.rows),
            }
        )


class JournalDetail(APIView):
    """One row; needs `journal.view`."""

    @extend_schema(responses=JournalRow)
    def get(self, request: Request, pk: int) -> Response:
        permissions.require(request.user, "journal.view")
        found = JournalEntry.objects.filter(pk=pk).first() if pk < 2**63 else None
        if found is None:
            raise Http404
        return Response(journal.as_dicts([found])[0])


class JournalChain(APIView):
    """All that one request brought about, oldest first; needs `journal.view`.

    Its own rows (at most 500), and those of the commands that they name, which came later without the request (at most 500).
    """

    @extend_schema(responses=Chain)
    def get(self, request: Request, request_id: str) -> Response:
        permissions.require(request.user, "journal.view")
        own = list(JournalEntry.objects.filter(request_id=request_id).order_by("at", "pk")[:MOST_FOLLOW])
        if not own:
            raise Http404
        rows = sorted([*own, *journal_search.following(own, MOST_FOLLOW)], key=lambda row: row.pk)
        return Response({"request_id": request_id, "results": journal.as_dicts(rows)})


def _link(request: Request, cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    return replace_query_param(request.build_absolute_uri(), "cursor", str(cursor))
