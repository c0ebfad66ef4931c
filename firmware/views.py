"""`robots/…`, `commands/…`, `stop/`: what one does with robots over the API. Each view asks one right and calls one verb."""

from typing import Any

from django.db import transaction
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import journal, permissions
from accounts.models import User
from firmware import control, profile, state
from firmware.models import Robot, RobotState, StopStatus
from firmware.serializers import (
    ReasonOptional,
    RobotSerializer,
    StateReply,
)
from robotctl.problems import Problem

IN_SERVICE = Robot.objects.filter(retired_at=None)


def robot_or_404(request: Request, slug: str, action: str = "robot.view") -> Robot:
    """The robot, if the person may see it (else 404) and do `action` on it (else 403)."""
    robot = get_object_or_404(IN_SERVICE.select_related("site", "state"), slug=slug)
    permissions.require(request.user, action, robot)
    return robot


def signed_in(request: Request) -> User:
    assert isinstance(request.user, User)  # every view here requires sign-in
    return request.user


class Robots(generics.ListCreateAPIView[Robot]):
    """The registry: the robots one may see; POST registers one (needs `robot.configure`)."""

    queryset = IN_SERVICE.select_related("site")
    serializer_class = RobotSerializer
    ordering_fields = ["slug", "name", "profile", "created_at"]
    filterset_fields = ["slug", "name", "profile", "enabled", "simulated", "site__name"]

    def get_queryset(self) -> Any:
        return permissions.visible(self.request.user, super().get_queryset()).order_by("-pk")

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        permissions.require(
            request.user, "robot.configure"
        )  # first: what is wrong with a body tells which slugs there are
        return super().create(request, *args, **kwargs)

    def perform_create(self, serializer: serializers.BaseSerializer[Robot]) -> None:
        serializer.save()
        permissions.rights_added()  # open fleet pages join the new robot


class RobotDetail(generics.RetrieveUpdateDestroyAPIView[Robot]):
    """One robot. PATCH and DELETE need `robot.configure`; DELETE retires it, and its slug never returns.

    While a stop is not confirmed, DELETE needs a `reason`: the standing order ends with the robot's service, and the journal says so.
    """

    serializer_class = RobotSerializer
    http_method_names = ["get", "patch", "delete", "head", "options"]

    def get_object(self) -> Robot:
        return robot_or_404(
            self.request,
            self.kwargs["slug"],
            "robot.view" if self.request.method in ("GET", "HEAD") else "robot.configure",
        )

    def perform_destroy(self, instance: Robot) -> None:
        given = ReasonOptional(data=self.request.data if isinstance(self.request.data, dict) else {})
        given.is_valid(raise_exception=True)
        reason = given.validated_data["reason"]
        if not reason:
            _refuse_while_stopping(instance)
        with transaction.atomic():
            instance.retired_at, instance.enabled = timezone.now(), False
            instance.save(update_fields=["retired_at", "enabled"])
            journal.record("robot.retired", instance.slug, robot=instance.slug, reason=reason)
            if instance.state.stop_latched and instance.state.stop_status != StopStatus.CONFIRMED:
                words = {"stop": instance.state.stop_status}
                outcome = journal.Outcome.UNKNOWN
                journal.record(
                    "stop.ended_unconfirmed",
                    instance.slug,
                    robot=instance.slug,
                    outcome=outcome,
                    reason=reason,
                    data=words,
                )
        permissions.rights_changed(())


def _refuse_while_stopping(robot: Robot) -> None:
    """A stop that is not confirmed is a standing order; a robot does not leave service under it."""
    if robot.state.stop_latched and robot.state.stop_status != StopStatus.CONFIRMED:
        raise Problem(
            409, "stop_latched", "Its stop is not confirmed. See to the robot first; then retire it with a reason."
        )


class RobotStateView(APIView):
    """The reported state with quality and age, and what this person may do now, and why not."""

    while_locked = ("GET",)

    @extend_schema(responses=StateReply)
    def get(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug)
        return Response(for_person(signed_in(request), robot, robot.state))


def for_person(user: User, robot: Robot, row: RobotState) -> dict[str, Any]:
    """The state document with this person's rights joined into `commands` and `reset`."""
    document = state.document(robot, row, timezone.now())
    rights = permissions.rights(user, robot)
    if control.is_anothers(row, user, timezone.now()):
        held = {"allowed": False, "code": "lease_held", "reason": control.words(row)}
        kinds = profile.load_or_unusable(robot.profile).commands
        moving = {
            name
            for name, verdict in document["commands"].items()
            if kinds[name].kind == "motion" and verdict["allowed"]
        }
        document["commands"] |= dict.fromkeys(moving, held)
    missing = {"allowed": False, "code": "permission_denied"}
    for name, spec in profile.load_or_unusable(robot.profile).commands.items():
        if spec.right not in rights:
            document["commands"][name] = missing | {"reason": f"Your role does not include {spec.right}."}
    if "robot.reset" not in rights:
        document["reset"] = missing | {"reason": "Your role does not include robot.reset."}
    return document


class Profiles(APIView):
    """The installed profiles: which kinds of robot can be connected."""

    @extend_schema(responses={200: dict})
    def get(self, request: Request) -> Response:
        permissions.require(request.user, "robot.configure")
        return Response({"results": [{"name": name, "title": profile.title(name)} for name in profile.available()]})
