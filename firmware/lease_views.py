"""`robots/{slug}/lease/`: who holds control, taking it, giving it back, breaking it."""

from collections.abc import Callable
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import journal, permissions
from accounts.models import User
from firmware import control, state
from firmware.models import Robot
from firmware.serializers import LeaseReply, ReasonRequired
from firmware.views import robot_or_404, signed_in
from robotctl.problems import Problem


class Lease(APIView):
    """GET: who holds control. POST: take it, or renew one's own. DELETE: give it back. Changing it needs `robot.command`;
    who sees the robot gives their own back without."""

    counts_as_activity = False  # an open page renews it by itself

    @extend_schema(responses=LeaseReply)
    def get(self, request: Request, slug: str) -> Response:
        return Response(state.lease_shape(robot_or_404(request, slug).state, timezone.now()))

    @extend_schema(request=None, responses=LeaseReply)
    def post(self, request: Request, slug: str) -> Response:
        return self._changed(request, robot_or_404(request, slug, "robot.command"), control.take)

    @extend_schema(responses=LeaseReply)
    def delete(self, request: Request, slug: str) -> Response:
        robot, user = robot_or_404(request, slug), signed_in(request)
        within = user.limits.of(frozenset({"robot.command"}), slug)  # a token that may not command gives nothing back
        if not (within and robot.state.leased_by(user.pk, timezone.now())):
            permissions.require(user, "robot.command", robot)
        return self._changed(request, robot, control.release)

    def _changed(self, request: Request, robot: Robot, change: Callable[[Robot, User], dict[str, Any]]) -> Response:
        try:
            return Response(change(robot, signed_in(request)))
        except Problem as problem:
            _refused(robot.slug, problem.code)
            raise


class BreakLease(APIView):
    """End somebody else's lease: needs `robot.break_lease` and a reason. Stops nothing."""

    @extend_schema(request=ReasonRequired, responses=LeaseReply)
    def post(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug, "robot.break_lease")
        given = ReasonRequired(data=request.data)
        if not given.is_valid():
            _refused(slug, "invalid")
            raise exceptions.ValidationError(given.errors)
        try:
            return Response(control.break_(robot, reason=given.validated_data["reason"]))
        except Problem as problem:
            _refused(slug, problem.code)
            raise


def _refused(slug: str, code: str) -> None:
    journal.record("lease.refused", slug, robot=slug, outcome=journal.Outcome.DENIED, data={"code": code})
