"""`stop/`, `robots/{slug}/stop/`, `…/stop/reset/` and `auth/stop-ticket/`.

With a good ticket a stop does not come here at all: see `stop_route.py`.
"""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import journal, permissions, stop_tickets
from accounts.authentication import may_not_stop
from firmware import approval, reset, stop
from firmware.models import Command, Robot
from firmware.serializers import ReasonOptional, ReasonRequired, ResetReply, StopReplies, StopTicketReply
from firmware.views import IN_SERVICE, robot_or_404, signed_in
from robotctl.problems import Problem
from robotctl.text import clean


class StopTicket(APIView):
    """A ticket for the stops of an open page: `X-Stop-Ticket: …`. Good for an hour; renewed every 5 minutes.

    `{"ticket","expires_at"}`. With it a stop needs no database, cache or bus. 403 without the right to stop anything.
    """

    throttle_classes = ()
    while_locked = ("POST",)
    counts_as_activity = False

    @extend_schema(request=None, responses=StopTicketReply)
    def post(self, request: Request) -> Response:
        _require_scope(request)
        user, slugs = signed_in(request), None
        if user.limits.slugs is not None or not permissions.may(user, "robot.stop"):
            slugs = list(permissions.visible(user, IN_SERVICE, "robot.stop").values_list("slug", flat=True))
            if not slugs:
                raise exceptions.PermissionDenied("There is no robot that you may stop.")
        ticket, expires_at = stop_tickets.issue(user, slugs)
        return Response({"ticket": ticket, "expires_at": journal.iso(expires_at)})


def _require_scope(request: Request) -> None:
    if may_not_stop(request):
        raise exceptions.PermissionDenied("This API token has not the scope `stop`.")


class StopRobot(APIView):
    """Stop one robot. Whoever may see it may stop it. A software stop, no safety-rated function."""

    throttle_classes = ()
    while_locked = ("POST",)
    counts_as_activity = False  # nothing is written before the robot is told

    @extend_schema(request=ReasonOptional, responses=StopReplies)
    def post(self, request: Request, slug: str) -> Response:
        _require_scope(request)
        return _stop([robot_or_404(request, slug, "robot.stop")], request)


class StopAll(APIView):
    """Stop every robot that one may see."""

    throttle_classes = ()
    while_locked = ("POST",)
    counts_as_activity = False  # nothing is written before the robot is told

    @extend_schema(request=ReasonOptional, responses=StopReplies)
    def post(self, request: Request) -> Response:
        _require_scope(request)
        robots = permissions.visible(request.user, IN_SERVICE.select_related("site"), "robot.stop")
        if not robots and not permissions.may(request.user, "robot.stop"):
            permissions.require(request.user, "robot.stop")
        return _stop(list(robots), request)


def _stop(robots: list[Robot], request: Request) -> Response:
    results = stop.stop_robots(robots, by=signed_in(request).get_username(), reason=_reason(request))
    return Response({"results": [result.shape() for result in results]})


def _reason(request: Request) -> str:
    """The reason in the body, if there is one. Whatever the body is, it does not keep a robot moving."""
    try:
        data = request.data
        given = data.get("reason", "") if isinstance(data, dict) else ""
    except Exception:  # noqa: BLE001 - nothing that a parser may raise stands in the way of a stop
        return ""
    return clean(str(given))[:500]


class StopReset(APIView):
    """Leave a stop: needs `robot.reset` and a reason; lifts the latch only when the robot stays out of its stop.

    After a stop that did not come from here the profile may want a second person: then the answer is `awaiting_approval`, with
    the `command` to approve.
    """

    @extend_schema(request=ReasonRequired, responses=ResetReply)
    def post(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug, "robot.reset")
        given = ReasonRequired(data=request.data)
        if not given.is_valid():
            journal.record("reset.refused", slug, robot=slug, outcome=journal.Outcome.DENIED, data={"code": "invalid"})
            raise exceptions.ValidationError(given.errors)
        reason = given.validated_data["reason"]
        try:
            if approval.reset_needs_it(robot):
                return Response(_waiting(approval.ask_for_reset(robot, signed_in(request), reason=reason)))
            return Response(reset.reset(robot, reason=reason))
        except Problem as problem:
            journal.record(
                "reset.refused",
                robot.slug,
                robot=robot.slug,
                outcome=journal.Outcome.DENIED,
                reason=given.validated_data["reason"],
                data={"code": problem.code},
            )
            raise


def _waiting(command: Command) -> dict[str, Any]:
    detail = "The robot was not stopped from here: a second person must agree within 10 minutes."
    about = {"robot": command.robot.slug, "status": command.status, "code": "needs_approval", "detail": detail}
    return about | {"elapsed_ms": 0.0, "command": command.pk}
