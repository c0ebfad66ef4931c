"""`monitoring/health/` and `monitoring/thresholds/`: how well hosts and robots are, and from where on they are not."""

import math
from typing import Any

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import journal, permissions
from firmware import profile, state
from firmware.models import Robot
from firmware.views import signed_in
from monitoring import health
from monitoring.models import Thresholds
from monitoring.views import hosts
from robotctl.strict import StrictSerializer

LIMITS = tuple(f"{kind}_{level}" for kind in health.NAMES for level in ("warning", "critical"))


class DeductionRow(serializers.Serializer[Any]):
    cause = serializers.CharField()
    points = serializers.IntegerField()


class ScoredRow(serializers.Serializer[Any]):
    score = serializers.IntegerField(allow_null=True)
    status = serializers.ChoiceField(["healthy", "warning", "critical", "unknown"])
    deductions = DeductionRow(many=True)


class ScoredHost(ScoredRow):
    host = serializers.CharField()


class ScoredRobot(ScoredRow):
    robot = serializers.CharField()


class HealthReply(ScoredRow):
    hosts = ScoredHost(many=True)
    robots = ScoredRobot(many=True)


class ThresholdsShape(StrictSerializer):
    """Percent of the host's processor, memory and disk."""

    cpu_warning = serializers.FloatField(min_value=1, max_value=100)
    cpu_critical = serializers.FloatField(min_value=1, max_value=100)
    memory_warning = serializers.FloatField(min_value=1, max_value=100)
    memory_critical = serializers.FloatField(min_value=1, max_value=100)
    disk_warning = serializers.FloatField(min_value=1, max_value=100)
    disk_critical = serializers.FloatField(min_value=1, max_value=100)


class Health(APIView):
    """The score of everything, of each host, and of each robot that one may see, with every deduction. Needs `monitoring.view`.

    100 minus the points of the deductions: healthy from 80, warning from 60, critical below; unknown, without a score, where what it
    rests on is not measured now.
    """

    @extend_schema(responses=HealthReply)
    def get(self, request: Request) -> Response:
        permissions.require(request.user, "monitoring.view")
        limits = _shape(Thresholds.now())
        of_hosts = {one["host"]: health.of_host(one, limits) for one in hosts()}
        of_robots = _robots(request)
        whole = health.of_fleet(of_hosts, of_robots)
        shown = {
            "hosts": [{"host": name, **scored} for name, scored in of_hosts.items()],
            "robots": [{"robot": slug, **scored} for slug, scored in of_robots.items()],
        }
        return Response({**whole, **shown})


def _robots(request: Request) -> dict[str, health.Scored]:
    now = timezone.now()
    seen = permissions.visible(signed_in(request), Robot.objects.filter(retired_at=None, enabled=True))
    found = {}
    for robot in seen.select_related("state", "site").order_by("slug"):
        link = state.link_shape(robot, robot.state, profile.load_or_unusable(robot.profile), now)
        found[robot.slug] = health.health_score(link["deductions"])
    return found


class ThresholdsView(APIView):
    """From which share on a host's processor, memory and disk are a warning, and critical (%). PATCH needs `monitoring.configure`."""

    @extend_schema(responses=ThresholdsShape)
    def get(self, request: Request) -> Response:
        permissions.require(request.user, "monitoring.view")
        return Response(_shape(Thresholds.now()))

    @extend_schema(request=ThresholdsShape(partial=True), responses=ThresholdsShape)
    def patch(self, request: Request) -> Response:
        permissions.require(request.user, "monitoring.configure")
        given = ThresholdsShape(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        with transaction.atomic():
            row = Thresholds.objects.select_for_update().get(pk=Thresholds.now().pk)
            before = _shape(row)
            after = before | given.validated_data
            _check(after)
            changes = {name: [before[name], after[name]] for name in LIMITS if before[name] != after[name]}
            if changes:
                Thresholds.objects.filter(pk=row.pk).update(**{name: pair[1] for name, pair in changes.items()})
                journal.record("thresholds.changed", data={"changes": changes})
        return Response(after)


def _shape(row: Thresholds) -> dict[str, float]:
    return {name: getattr(row, name) for name in LIMITS}


def _check(limits: dict[str, float]) -> None:
    if odd := [name for name in LIMITS if not math.isfinite(limits[name])]:  # it would never be reached
        raise serializers.ValidationError({odd[0]: "Must be a number."})
    for kind in health.NAMES:
        if limits[f"{kind}_warning"] >= limits[f"{kind}_critical"]:
            raise serializers.ValidationError(
                {f"{kind}_warning": f"Must be below {kind}_critical ({limits[f'{kind}_critical']:g} %)."}
            )
