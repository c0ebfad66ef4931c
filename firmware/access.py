"""`robots/{slug}/access/`, and the same of a group of robots and of a site: who holds which role on it, and why.

accounts does the granting; it knows objects only generically.
"""

from typing import Any, ClassVar

from django.contrib.auth.models import Group
from django.db import models
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import explain, giving, permissions, roles
from accounts.journal import iso
from accounts.models import Grant, Role, User
from firmware.models import Robot, RobotGroup, Site
from firmware.serializers import GrantReply, GrantRequest
from firmware.views import robot_or_404, signed_in


def _shape(grant: Grant) -> dict[str, Any]:
    return {
        "id": grant.pk,
        "user": grant.user.username if grant.user else None,
        "group": grant.group.name if grant.group else None,
        "role": grant.role_id,
        "on": f"{grant.content_type.model} {grant.target}",
        "starts_at": iso(grant.starts_at),
        "ends_at": iso(grant.ends_at),
        "reason": grant.reason,
        "granted_by": grant.granted_by.username if grant.granted_by else None,
    }


class _OfTarget(APIView):
    """Finds what the address names: a robot, a group of robots or a site."""

    of: ClassVar[type[models.Model]]

    def target(self, **where: Any) -> models.Model:
        right = "users.view" if self.request.method in ("GET", "HEAD") else "users.manage"
        if self.of is Robot:
            return robot_or_404(self.request, where["slug"], right)
        permissions.require(self.request.user, right)
        return get_object_or_404(giving.seen(signed_in(self.request), self.of), **where)


class _Access(_OfTarget):
    @extend_schema(responses=GrantReply(many=True))
    def get(self, request: Request, **where: Any) -> Response:
        grants = Grant.objects.on(self.target(**where)).select_related("user", "group", "granted_by", "content_type")
        return Response({"results": [_shape(grant) for grant in grants]})

    @extend_schema(request=GrantRequest, responses={201: GrantReply})
    def post(self, request: Request, **where: Any) -> Response:
        target = self.target(**where)
        given = GrantRequest(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = given.validated_data
        role = _named(Role, "role", name=wanted["role"])
        grant = giving.give(
            target,
            role=role,
            holder=_named(User, "user", username=wanted["user"])
            if "user" in wanted
            else _named(Group, "group", name=wanted["group"]),
            by=signed_in(request),
            reason=wanted["reason"],
            starts_at=wanted.get("from"),
            ends_at=wanted.get("until"),
        )
        return Response(_shape(grant), status=status.HTTP_201_CREATED)


class _Grant(_OfTarget):
    @extend_schema(responses={204: None})
    def delete(self, request: Request, grant: int, **where: Any) -> Response:
        giving.take(get_object_or_404(Grant.objects.on(self.target(**where)), pk=grant), signed_in(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class RobotAccess(_Access):
    """Roles granted on one robot, optionally `from` and `until`; looking needs `users.view`, granting `users.manage`."""

    of = Robot


class RobotGrant(_Grant):
    """One grant on a robot; DELETE withdraws it at once (403 `beyond_own_rights` from somebody who holds more)."""

    of = Robot


class GroupAccess(_Access):
    """Roles granted on all robots of a group; looking needs `users.view`, granting `users.manage`."""

    of = RobotGroup


class GroupGrant(_Grant):
    """One grant on a group of robots; DELETE withdraws it at once (403 `beyond_own_rights` from somebody who holds more)."""

    of = RobotGroup


class SiteAccess(_Access):
    """Roles granted on all robots of a site; looking needs `users.view`, granting `users.manage`."""

    of = Site


class SiteGrant(_Grant):
    """One grant on a site; DELETE withdraws it at once (403 `beyond_own_rights` from somebody who holds more)."""

    of = Site


class WhyReply(serializers.Serializer[Any]):
    user = serializers.CharField()
    action = serializers.CharField()
    allowed = serializers.BooleanField()
    because = serializers.JSONField()


class RobotWhy(APIView):
    """Why `user` may do `action` on this robot, or may not: `{"allowed", "because": [{"kind","gives","text"}]}`.

    About oneself without more; about others with `users.view`. `action`: as in the matrix, for example `robot.command`.
    """

    @extend_schema(
        parameters=[OpenApiParameter("user", str), OpenApiParameter("action", str, required=True)], responses=WhyReply
    )
    def get(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug)
        name, action = request.query_params.get("user", signed_in(request).username), request.query_params.get("action")
        if name != signed_in(request).username:
            permissions.require(request.user, "users.view")
        if action not in roles.ACTIONS:
            words = f"Name one of the actions: {', '.join(roles.ACTIONS)}."
            raise serializers.ValidationError({"action": [words]})
        return Response(explain.why(_named(User, "user", username=name), action, robot))


def _named(model: Any, field: str, **lookup: Any) -> Any:
    found = model.objects.filter(**lookup).first()
    if found is None:
        raise serializers.ValidationError({field: f"There is no {field} {next(iter(lookup.values()))!r}."})
    return found
