"""`robots/{slug}/commands/`, `commands/…`: sending a command, and what became of it."""

from typing import Any

import django_filters
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import journal, permissions
from accounts.authentication import by_token
from accounts.journal import iso
from firmware import approval, commands, jog, orders, resolution, state
from firmware.models import Command, Robot
from firmware.serializers import CommandReply, CommandRequest, HoldReply, NoteRequired, ReasonOptional, WaitingReason
from firmware.views import robot_or_404, signed_in
from robotctl import problems
from robotctl.problems import Problem

LONGEST_KEY = 200


class CommandFilter(django_filters.FilterSet):
    requested_by = django_filters.CharFilter(field_name="requested_by__username")

    class Meta:
        model = Command
        fields = ["name", "status", "kind", "request_id"]


class RobotCommands(generics.ListAPIView[Command]):
    """The robot's commands, newest first; POST sends one."""

    filterset_class = CommandFilter
    ordering_fields = ["id", "name", "status", "created_at", "ended_at"]
    serializer_class = CommandReply
    queryset = Command.objects.select_related("robot", "requested_by")

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        robot = robot_or_404(request, self.kwargs["slug"])
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset().filter(robot=robot)))
        return self.get_paginated_response([state.command_shape(command) for command in page or []])

    @extend_schema(
        request=CommandRequest,
        responses={201: CommandReply, 200: CommandReply},
        parameters=[
            OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="Required with API tokens.")
        ],
    )
    def post(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug)
        if not permissions.may(request.user, "robot.jog", robot):  # which of the two it needs, its name tells
            permissions.require(request.user, "robot.command", robot)
        wanted = wanted_of(CommandRequest, request, slug)
        if wanted["name"] in (orders.REGISTER_WRITE, orders.CONFIGURE):
            words = "Registers are written at …/modules/{module}/registers/{register}/, settings at …/config/."
            with commands.refusals(robot, wanted["name"], wanted["params"], wanted["reason"]):
                raise Problem(400, "unknown_command", words, errors={"name": [words]})
        return accepted(request, robot, wanted["name"], wanted["params"], wanted)


def accepted(request: Request, robot: Robot, name: str, params: Any, wanted: dict[str, Any]) -> Response:
    """Send a command, wait for it as long as was asked, and answer with its row. Raises Problem."""
    key = idempotency_key(request, robot, name, params, wanted)
    command, new = commands.submit(
        robot, signed_in(request), name=name, params=params, reason=wanted["reason"], key=key
    )
    commands.running.wait(command.pk, wanted["wait_s"])
    command = Command.objects.select_related("robot", "requested_by").get(pk=command.pk)
    return Response(state.command_shape(command), status=status.HTTP_201_CREATED if new else status.HTTP_200_OK)


def idempotency_key(request: Request, robot: Robot, name: str, params: Any, wanted: dict[str, Any]) -> str | None:
    """The request's key. Raises Problem 400 where an API token's is missing."""
    key = request.headers.get("Idempotency-Key") or wanted.get("idempotency_key")
    if key is None and by_token(request):
        problem = Problem(
            400,
            "idempotency_key_required",
            "With an API token, give the header Idempotency-Key.",
            errors={"Idempotency-Key": ["This header is required."]},
        )
        with commands.refusals(robot, name, params):
            raise problem
    if key is not None and len(key) > LONGEST_KEY:
        words = f"At most {LONGEST_KEY} characters."
        with commands.refusals(robot, name, params):
            raise Problem(400, "invalid", f"Idempotency-Key: {words}", errors={"Idempotency-Key": [words]})
    return key


def wanted_of(shape: type[serializers.Serializer[Any]], request: Request, slug: str) -> dict[str, Any]:
    """The checked body of an order. What is not one is refused, and the refusal journalled."""
    try:
        given = shape(data=request.data)
        given.is_valid(raise_exception=True)
    except exceptions.APIException as error:
        told = problems.body(error)
        data = {"code": told["code"], "detail": told["detail"][:500]}
        journal.record("command.refused", robot=slug, outcome=journal.Outcome.DENIED, data=data)
        raise
    wanted: dict[str, Any] = given.validated_data
    return wanted


class CommandDetail(APIView):
    """One command and what became of it."""

    @extend_schema(responses=CommandReply)
    def get(self, request: Request, pk: int) -> Response:
        return Response(state.command_shape(_command_or_404(request, pk)))


class CommandHold(APIView):
    """A sign that the button of a hold-to-run is still held; to be given about three times in its `lost_after_s`.

    `{"hold_until"}`; 409 `released` when it counts as let go already: then nothing moves on, and the button is pressed anew.
    """

    throttle_classes = ()

    @extend_schema(request=None, responses=HoldReply)
    def post(self, request: Request, pk: int) -> Response:
        command = _command_or_404(request, pk, "robot.jog")
        return Response({"hold_until": iso(jog.beat(command, signed_in(request)))})


class CommandRelease(APIView):
    """The button was let go: the robot is halted. Answers when that was seen, or could not be."""

    throttle_classes = ()
    while_locked = ("POST",)
    counts_as_activity = False

    @extend_schema(request=None, responses=CommandReply)
    def post(self, request: Request, pk: int) -> Response:
        command = _command_or_404(request, pk, "robot.jog")
        jog.let_go(command, why="the button")
        return Response(state.command_shape(_command_or_404(request, pk, "robot.jog")))


class CommandApprove(APIView):
    """Agree to a command that somebody else has asked for: `{reason?}`. Needs `robot.approve`; it is sent at once.

    403 `own_request`; 409 `not_waiting`, or the cause that forbids it by now.
    """

    @extend_schema(request=WaitingReason, responses=CommandReply)
    def post(self, request: Request, pk: int) -> Response:
        command = _command_or_404(request, pk, "robot.approve")
        given = WaitingReason(data=request.data)
        given.is_valid(raise_exception=True)
        approval.approve(command, signed_in(request), reason=given.validated_data["reason"])
        commands.running.wait(command.pk, given.validated_data["wait_s"])
        return Response(state.command_shape(_command_or_404(request, pk, "robot.approve")))


class CommandCancel(APIView):
    """Take back a command that was not sent yet. Needs `robot.command`."""

    @extend_schema(request=ReasonOptional, responses=CommandReply)
    def post(self, request: Request, pk: int) -> Response:
        command = _command_or_404(request, pk, "robot.command")
        given = ReasonOptional(data=request.data)
        given.is_valid(raise_exception=True)
        resolution.cancel(command, reason=given.validated_data["reason"])
        return Response(state.command_shape(_command_or_404(request, pk, "robot.command")))


class CommandResolve(APIView):
    """Say what came of a command whose outcome is unknown: `{note}`, after a look at the robot. Needs `robot.command`."""

    @extend_schema(request=NoteRequired, responses=CommandReply)
    def post(self, request: Request, pk: int) -> Response:
        command = _command_or_404(request, pk, "robot.command")
        given = NoteRequired(data=request.data)
        given.is_valid(raise_exception=True)
        resolution.by_person(command, signed_in(request), note=given.validated_data["note"])
        return Response(state.command_shape(_command_or_404(request, pk, "robot.command")))


def _command_or_404(request: Request, pk: int, action: str = "robot.view") -> Command:
    command = get_object_or_404(Command.objects.select_related("robot", "requested_by"), pk=pk)
    permissions.require(request.user, action, command.robot)
    return command
