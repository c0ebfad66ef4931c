"""`robots/{slug}/timeline/`: the story of one robot, for everybody who sees it."""

from typing import Any

from django.db.models import Q
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import journal
from firmware.views import robot_or_404

PAGE, MOST = 50, 500
KINDS: dict[str, Q] = {
    "commands": Q(verb__startswith="command.") | Q(verb__startswith="sequence.") | Q(verb__startswith="setting."),
    "stops": Q(verb__startswith="stop.") | Q(verb__startswith="reset."),
    "link": Q(verb__startswith="robot.") | Q(verb__startswith="breaker.") | Q(verb__startswith="link."),
    "control": Q(verb__startswith="lease."),
    "trouble": ~Q(outcome="ok"),
}


class TimelineQuery(serializers.Serializer[Any]):
    before = serializers.IntegerField(min_value=1, required=False)
    limit = serializers.IntegerField(min_value=1, max_value=MOST, default=PAGE)
    kind = serializers.ChoiceField(choices=list(KINDS), required=False)


class TimelineReply(serializers.Serializer[Any]):
    """`older`: the `before` that goes on; null when nothing is older."""

    robot = serializers.CharField()
    results = serializers.JSONField()
    older = serializers.IntegerField(allow_null=True)


class Timeline(APIView):
    """What happened to this robot, newest first: rows of the journal without addresses. Needs `robot.view`.

    `?kind=commands|stops|link|control|trouble`, `?before=<id>` goes on from a row, `?limit=` up to 500.
    """

    @extend_schema(
        parameters=[
            OpenApiParameter("before", int),
            OpenApiParameter("limit", int),
            OpenApiParameter("kind", str, enum=list(KINDS)),
        ],
        responses=TimelineReply,
    )
    def get(self, request: Request, slug: str) -> Response:
        robot_or_404(request, slug)
        unknown = sorted(set(request.query_params) - set(TimelineQuery().fields) - {"format"})
        if unknown:
            raise serializers.ValidationError(dict.fromkeys(unknown, "There is no such filter."))
        asked = TimelineQuery(data=request.query_params)
        asked.is_valid(raise_exception=True)
        wanted = asked.validated_data
        rows = journal.of_robot(slug)
        if "kind" in wanted:
            rows = rows.filter(KINDS[wanted["kind"]])
        if "before" in wanted:
            last = get_object_or_404(journal.of_robot(slug), pk=wanted["before"])
            rows = rows.filter(at__lte=last.at).filter(Q(at__lt=last.at) | Q(pk__lt=last.pk))
        found = list(rows[: wanted["limit"] + 1])
        shown = found[: wanted["limit"]]
        older = shown[-1].pk if len(found) > len(shown) else None
        return Response({"robot": slug, "results": journal.told(shown), "older": older})
