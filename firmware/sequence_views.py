"""`robots/{slug}/sequences/`, `sequences/…`: commands that follow one another, and how far they have come."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import permissions
from firmware import sequences
from firmware.command_views import idempotency_key, wanted_of
from firmware.models import Sequence
from firmware.serializers import ReasonOptional
from firmware.views import robot_or_404, signed_in
from robotctl.strict import StrictSerializer

MOST_STEPS = 50


class StepRequest(StrictSerializer):
    name = serializers.CharField(max_length=40)
    params = serializers.JSONField(default=dict)


class SequenceRequest(StrictSerializer):
    """Steps in their order. `step_within_s`: a step that is not done so long after it was sent ends the sequence."""

    steps = serializers.ListField(child=StepRequest(), min_length=1, max_length=MOST_STEPS)
    step_within_s = serializers.FloatField(required=False, default=600.0, min_value=1.0, max_value=3600.0)
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=500)
    idempotency_key = serializers.CharField(required=False, max_length=200)


class StepReply(serializers.Serializer[Any]):
    name = serializers.CharField()
    params = serializers.JSONField()
    command = serializers.IntegerField(allow_null=True)
    status = serializers.CharField(allow_null=True)
    done_at = serializers.CharField(allow_null=True)


class SequenceReply(serializers.Serializer[Any]):
    """`step`: the one under way, from 0. `status`: running, done, failed (with `code` and `detail`), cancelled."""

    id = serializers.IntegerField()
    robot = serializers.CharField()
    status = serializers.ChoiceField(choices=Sequence.Status.choices)
    code = serializers.CharField(allow_null=True)
    detail = serializers.CharField()
    reason = serializers.CharField()
    step = serializers.IntegerField()
    steps = StepReply(many=True)
    step_within_s = serializers.FloatField()
    requested_by = serializers.CharField(allow_null=True)
    request_id = serializers.CharField()
    created_at = serializers.CharField()
    ended_at = serializers.CharField(allow_null=True)


class RobotSequences(generics.ListAPIView[Sequence]):
    """The robot's sequences, newest first; POST starts one: `{"steps": [{"name", "params"}], "step_within_s"?, "reason"?}`.

    Each command is sent when the one before it is done; the first that is not confirmed ends the rest, and so does a stop,
    another order, another's control, a lost link. Needs `robot.command`. 409 `sequence_running`: one at a time.
    """

    filterset_fields = ["status", "request_id"]
    ordering_fields = ["id", "status", "created_at", "ended_at"]
    serializer_class = SequenceReply
    queryset = Sequence.objects.select_related("robot", "requested_by").prefetch_related("commands")

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        robot = robot_or_404(request, self.kwargs["slug"])
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset().filter(robot=robot)))
        return self.get_paginated_response([sequences.shape(made) for made in page or []])

    @extend_schema(
        request=SequenceRequest,
        responses={201: SequenceReply, 200: SequenceReply},
        parameters=[
            OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="Required with API tokens.")
        ],
    )
    def post(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug, "robot.command")
        wanted = wanted_of(SequenceRequest, request, slug)
        key = idempotency_key(request, robot, "sequence", {"steps": wanted["steps"]}, wanted)
        made, new = sequences.start(
            robot,
            signed_in(request),
            steps=wanted["steps"],
            step_within_s=wanted["step_within_s"],
            reason=wanted["reason"],
            key=key,
        )
        code = status.HTTP_201_CREATED if new else status.HTTP_200_OK
        return Response(sequences.shape(_sequence_or_404(request, made.pk)), status=code)


class SequenceDetail(APIView):
    """One sequence, and the command that each of its steps became."""

    @extend_schema(responses=SequenceReply)
    def get(self, request: Request, pk: int) -> Response:
        return Response(sequences.shape(_sequence_or_404(request, pk)))


class SequenceCancel(APIView):
    """Send no further step. What the robot was told already goes on: halt or stop it to end that. Needs `robot.command`."""

    @extend_schema(request=ReasonOptional, responses=SequenceReply)
    def post(self, request: Request, pk: int) -> Response:
        made = _sequence_or_404(request, pk, "robot.command")
        given = ReasonOptional(data=request.data)
        given.is_valid(raise_exception=True)
        sequences.cancel(made, reason=given.validated_data["reason"])
        return Response(sequences.shape(_sequence_or_404(request, pk, "robot.command")))


def _sequence_or_404(request: Request, pk: int, action: str = "robot.view") -> Sequence:
    made = get_object_or_404(RobotSequences.queryset.all(), pk=pk)
    permissions.require(request.user, action, made.robot)
    return made
