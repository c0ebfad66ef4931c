"""`roles/…`: the roles, what each may do, and the whole matrix; looking needs `users.view`, changing `roles.manage`."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import matrix, permissions, role_changes, roles
from accounts.models import Role
from robotctl.strict import StrictSerializer


class RoleRequest(StrictSerializer):
    name = serializers.SlugField(max_length=40)
    title = serializers.CharField(max_length=80)
    parent = serializers.CharField(max_length=40, allow_null=True, default=None)  # type: ignore[assignment]
    permissions = serializers.ListField(child=serializers.ChoiceField(choices=roles.ACTIONS), default=list)
    mfa_required = serializers.BooleanField(default=False)


class RoleReply(RoleRequest):
    built_in = serializers.BooleanField()
    cells = serializers.DictField(child=serializers.CharField())


class PermissionsRequest(StrictSerializer):
    permissions = serializers.ListField(child=serializers.ChoiceField(choices=roles.ACTIONS))


class PermissionsReply(serializers.Serializer[Any]):
    own = serializers.ListField(child=serializers.CharField())
    inherited = serializers.ListField(child=serializers.CharField())
    effective = serializers.ListField(child=serializers.CharField())


class RoleAsExported(RoleRequest):
    """As in the matrix; what follows from the rest is passed over."""

    name = serializers.SlugField(max_length=40)
    title = serializers.CharField(max_length=80)
    parent = serializers.CharField(max_length=40, allow_null=True)
    permissions = serializers.ListField(child=serializers.ChoiceField(choices=roles.ACTIONS))
    mfa_required = serializers.BooleanField()
    built_in = serializers.BooleanField(required=False)
    cells = serializers.DictField(required=False)


class MatrixRequest(StrictSerializer):
    actions = serializers.JSONField(required=False)  # the code's
    roles = RoleAsExported(many=True)

    def validate_roles(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = [row["name"] for row in rows]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise serializers.ValidationError(f"Named twice: {', '.join(twice)}.")
        if taken := sorted(set(names) & roles.ADDRESSES):
            raise serializers.ValidationError(f"Taken by an address: {', '.join(taken)}.")
        return rows


class MatrixReply(serializers.Serializer[Any]):
    actions = serializers.JSONField()
    roles = RoleReply(many=True)


class ValidationReply(serializers.Serializer[Any]):
    findings = serializers.JSONField()


class RoleView(APIView):
    """Looking needs `users.view` or `roles.manage`, everything else `roles.manage`."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        looking = request.method in ("GET", "HEAD", "OPTIONS") and permissions.may(request.user, "users.view")
        if not looking:
            permissions.require(request.user, "roles.manage")


class Roles(RoleView):
    """All roles. POST makes one: `{"name","title","parent"?,"permissions"?,"mfa_required"?}`."""

    @extend_schema(responses=RoleReply(many=True))
    def get(self, request: Request) -> Response:
        return Response({"results": matrix.matrix()["roles"]})

    @extend_schema(request=RoleRequest, responses={201: RoleReply})
    def post(self, request: Request) -> Response:
        given = RoleRequest(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = given.validated_data
        if Role.objects.filter(pk=wanted["name"]).exists():
            raise serializers.ValidationError({"name": ["There is a role of this name already."]})
        made = Role(name=wanted["name"])
        return Response(_changed(made, wanted), status=status.HTTP_201_CREATED)


class RoleDetail(RoleView):
    """One role. PATCH `{"title"?,"parent"?,"permissions"?,"mfa_required"?}`; its name stays. DELETE: only one that is not used."""

    @extend_schema(responses=RoleReply)
    def get(self, request: Request, name: str) -> Response:
        return Response(matrix.shape(get_object_or_404(Role, pk=name), Role.table()))

    @extend_schema(request=RoleRequest(partial=True), responses=RoleReply)
    def patch(self, request: Request, name: str) -> Response:
        role = get_object_or_404(Role, pk=name)
        given = RoleRequest(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        if given.validated_data.get("name", name) != name:
            raise serializers.ValidationError({"name": ["A role keeps its name."]})
        return Response(_changed(role, given.validated_data))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        role_changes.delete(get_object_or_404(Role, pk=name))
        return Response(status=status.HTTP_204_NO_CONTENT)


class RolePermissions(RoleView):
    """A role's permissions: `{"own","inherited","effective"}`. PUT `{"permissions"}` sets its own."""

    @extend_schema(responses=PermissionsReply)
    def get(self, request: Request, name: str) -> Response:
        return Response(_permissions(get_object_or_404(Role, pk=name)))

    @extend_schema(request=PermissionsRequest, responses=PermissionsReply)
    def put(self, request: Request, name: str) -> Response:
        role = get_object_or_404(Role, pk=name)
        given = PermissionsRequest(data=request.data)
        given.is_valid(raise_exception=True)
        _changed(role, given.validated_data)
        return Response(_permissions(role))


class Matrix(RoleView):
    """Resource × action for each role; a cell is `own`, `inherited`, `follows` or `no`. PUT takes what GET gives: all or none."""

    @extend_schema(responses=MatrixReply)
    def get(self, request: Request) -> Response:
        return Response(matrix.matrix())

    @extend_schema(request=MatrixRequest, responses=MatrixReply)
    def put(self, request: Request) -> Response:
        given = MatrixRequest(data=request.data)
        given.is_valid(raise_exception=True)
        role_changes.import_table(given.validated_data["roles"])
        return Response(matrix.matrix())


class Validation(RoleView):
    """What is odd about the roles: contradictions, redundant cells, orphans, rights that nobody reaches."""

    @extend_schema(responses=ValidationReply)
    def get(self, request: Request) -> Response:
        return Response({"findings": matrix.validation()})


@role_changes.changing()
def _changed(role: Role, wanted: dict[str, Any]) -> dict[str, Any]:
    with role_changes.changing():
        if not role._state.adding:
            role.refresh_from_db()  # what somebody else has changed meanwhile stays
        for name in ("title", "permissions", "mfa_required"):
            setattr(role, name, wanted.get(name, getattr(role, name)))
        if "parent" in wanted:
            if wanted["parent"] is not None and not Role.objects.filter(pk=wanted["parent"]).exists():
                raise serializers.ValidationError({"parent": [f"There is no role {wanted['parent']!r}."]})
            role.parent_id = wanted["parent"]
        return matrix.shape(role_changes.save(role), Role.table())


def _permissions(role: Role) -> dict[str, list[str]]:
    table = Role.table()
    inherited = matrix.effective_of_parent(role.pk, table)
    return {
        "own": [action for action in roles.ACTIONS if action in role.permissions],
        "inherited": [action for action in roles.ACTIONS if action in inherited],
        "effective": [action for action in roles.ACTIONS if action in roles.effective(role.pk, table)],
    }
