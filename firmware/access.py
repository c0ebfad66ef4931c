"""`robots/{slug}/access/`: who holds which role on this robot. accounts does the granting; it knows objects only generically."""

from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import permissions
from accounts.journal import iso
from accounts.models import Grant, Role, User
from firmware.serializers import GrantReply, GrantRequest
from firmware.views import robot_or_404, signed_in


def _shape(grant: Grant) -> dict[str, Any]:
    return {
        "id": grant.pk,
        "user": grant.user.username if grant.user else None,
        "group": grant.group.name if grant.group else None,
        "role": grant.role_id,
        "starts_at": iso(grant.starts_at),
        "ends_at": iso(grant.ends_at),
        "reason": grant.reason,
        "granted_by": grant.granted_by.username if grant.granted_by else None,
    }


class RobotAccess(APIView):
    """Roles granted on one robot; needs `users.manage`."""

    @extend_schema(responses=GrantReply(many=True))
    def get(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug, "users.manage")
        grants = Grant.objects.on(robot).select_related("user", "group", "granted_by")
        return Response({"results": [_shape(grant) for grant in grants]})

    @extend_schema(request=GrantRequest, responses={201: GrantReply})
    def post(self, request: Request, slug: str) -> Response:
        robot = robot_or_404(request, slug, "users.manage")
        given = GrantRequest(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = given.validated_data
        grant = permissions.grant(
            robot,
            role=_named(Role, "role", name=wanted["role"]),
            holder=_named(User, "user", username=wanted["user"])
            if "user" in wanted
            else _named(Group, "group", name=wanted["group"]),
            by=signed_in(request),
            reason=wanted["reason"],
            starts_at=wanted.get("from"),
            ends_at=wanted.get("until"),
        )
        return Response(_shape(grant), status=status.HTTP_201_CREATED)


class RobotGrant(APIView):
    """One grant; DELETE withdraws it at once."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, pk: int) -> Response:
        robot = robot_or_404(request, slug, "users.manage")
        with transaction.atomic():
            permissions.withdraw(get_object_or_404(Grant.objects.on(robot), pk=pk))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _named(model: Any, field: str, **lookup: Any) -> Any:
    found = model.objects.filter(**lookup).first()
    if found is None:
        raise serializers.ValidationError({field: f"There is no {field} {next(iter(lookup.values()))!r}."})
    return found
