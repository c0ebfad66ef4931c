"""`journal/verify/`: whether the record is what was sealed."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import journal_health, permissions, seals
from accounts.journal_walk import walk
from robotctl.problems import Problem

BUDGET_S = 5.0


class JournalFinding(serializers.Serializer[object]):
    kind = serializers.CharField()
    words = serializers.CharField()
    seal = serializers.IntegerField(allow_null=True)
    id = serializers.IntegerField(allow_null=True)


class CheckedSeals(serializers.Serializer[object]):
    from_seal = serializers.IntegerField(allow_null=True)
    to_seal = serializers.IntegerField(allow_null=True)


class JournalVerdict(serializers.Serializer[object]):
    intact = serializers.BooleanField(help_text="Of what was checked here.")
    complete = serializers.BooleanField(help_text="All seals were checked.")
    seals = serializers.IntegerField()
    rows = serializers.IntegerField()
    tail = serializers.IntegerField(help_text="Rows that are not sealed yet: nothing vouches for them.")
    checked = CheckedSeals()
    next = serializers.IntegerField(allow_null=True, help_text="Where `from_seal` goes on.")
    findings = JournalFinding(many=True)
    more = serializers.IntegerField(help_text="Findings beyond those that are listed.")


class JournalState(serializers.Serializer[object]):
    seals = serializers.IntegerField()
    last_seal_at = serializers.CharField(allow_null=True)
    tail = serializers.IntegerField()
    tail_age_s = serializers.FloatField()
    checked_at = serializers.CharField(allow_null=True)
    whole_checked_at = serializers.CharField(allow_null=True)
    findings = JournalFinding(many=True)
    triggers_missing = serializers.ListField(child=serializers.CharField())
    weaknesses = serializers.ListField(child=serializers.CharField())


class State(APIView):
    """How the record is: its seals, what is not sealed yet, what the checks that go on by themselves have found. Needs `journal.view`."""

    @extend_schema(responses=JournalState)
    def get(self, request: Request) -> Response:
        permissions.require(request.user, "journal.view")
        return Response(journal_health.state())


class Verify(APIView):
    """Hold the rows against their seals, for about 5 s; `?from_seal=` goes on. Needs `journal.view`."""

    @extend_schema(parameters=[OpenApiParameter("from_seal", int)], responses=JournalVerdict)
    def get(self, request: Request) -> Response:
        permissions.require(request.user, "journal.view")
        first = _from_seal(request.query_params.get("from_seal", "1"))
        walked = walk(from_seal=first, budget_s=BUDGET_S)
        report = walked.report
        report.add(*seals.head_findings())
        body = {
            "intact": report.intact,
            "complete": first == 1 and walked.next is None,
            "seals": report.seals,
            "rows": report.rows,
            "tail": seals.tail().count,
            "checked": {"from_seal": report.first_seal, "to_seal": walked.to_seal if report.seals else None},
            "next": walked.next,
            "findings": [one.as_dict() for one in report.findings],
            "more": report.more,
        }
        return Response(body)


def _from_seal(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) < 2**63:
        words = "A whole number from 1."
        raise Problem(400, "invalid", words, errors={"from_seal": [words]})
    return int(text)
