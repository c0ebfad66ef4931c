"""`robots/{slug}/link/`: how well a robot can be reached, its circuit breaker, and a test of the connection."""

import msgspec
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from firmware import operation, profile, state
from firmware.models import RobotState
from firmware.probing import registered
from firmware.serializers import LinkReply, LinkTestReply, MaintenanceRequest, ReasonOptional
from firmware.views import robot_or_404
from robotctl.problems import Problem


class Link(APIView):
    """Score with every deduction, breaker with its next probe, latency, error rate, last success and last error."""

    @extend_schema(responses=LinkReply)
    def get(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug)
        spec = profile.load_or_unusable(robot.profile)
        return Response(state.link_shape(robot, robot.state, spec, timezone.now()))


class Maintenance(APIView):
    """`{"on", "reason"}`: take a robot out of operation, or give it back. In maintenance it takes no motion; stop stays.

    Needs `robot.configure`.
    """

    @extend_schema(request=MaintenanceRequest, responses=LinkReply)
    def post(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug, "robot.configure")
        given = MaintenanceRequest(data=request.data)
        given.is_valid(raise_exception=True)
        operation.set_maintenance(robot, on=given.validated_data["on"], reason=given.validated_data["reason"])
        row = RobotState.objects.get(robot=robot)
        return Response(state.link_shape(robot, row, profile.load_or_unusable(robot.profile), timezone.now()))


class LinkReset(APIView):
    """Close the circuit breaker: the robot is asked again at once. Needs `robot.reset`."""

    @extend_schema(request=ReasonOptional, responses=LinkReply)
    def post(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug, "robot.reset")
        given = ReasonOptional(data=request.data)
        given.is_valid(raise_exception=True)
        operation.reset_breaker(robot, reason=given.validated_data["reason"])
        row = RobotState.objects.get(robot=robot)
        return Response(state.link_shape(robot, row, profile.load_or_unusable(robot.profile), timezone.now()))


class LinkTest(APIView):
    """Test the connection step by step, now: name, TCP, TLS, HTTP, authentication, each read. Sends no command.

    Needs `robot.configure`: the steps quote what the robot says. 409 while the robot must not be asked.
    """

    @extend_schema(request=None, responses=LinkTestReply)
    def post(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug, "robot.configure")
        if problem := registered.not_now(robot):
            raise Problem(409, "busy", problem)
        report, problem = registered.look(robot)
        if report is None:
            raise Problem(409, "bad_wiring", problem)
        return Response(msgspec.to_builtins(report) | {"ok": report.ok})
