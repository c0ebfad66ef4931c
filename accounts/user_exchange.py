"""`users/export/` and `users/import/`: people as a table, out and in. Passwords are in neither."""

import csv
import io
from typing import Any

from django.db import transaction
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import csv_rows, journal, people, permissions
from accounts.models import User
from accounts.user_views import manager
from robotctl import problems
from robotctl.strict import StrictSerializer

COLUMNS = ("username", "email", "first_name", "last_name", "role", "groups", "is_active")


class PersonRow(StrictSerializer):
    username = serializers.CharField(max_length=150)
    email = serializers.EmailField(allow_blank=True, default="")
    first_name = serializers.CharField(max_length=150, allow_blank=True, default="")
    last_name = serializers.CharField(max_length=150, allow_blank=True, default="")
    role = serializers.CharField(max_length=40)
    groups = serializers.ListField(child=serializers.CharField(max_length=150), default=list)
    is_active = serializers.BooleanField(default=True)


class ImportRequest(StrictSerializer):
    """Rows as `users`, or the same as text in `csv`. `dry_run`: say what would happen, and change nothing."""

    users = serializers.ListField(child=serializers.DictField(), required=False)
    csv = serializers.CharField(required=False, trim_whitespace=False)
    dry_run = serializers.BooleanField(default=False)


class ImportReply(serializers.Serializer[Any]):
    applied = serializers.BooleanField()
    rows = serializers.JSONField()


class _Undo(Exception):
    pass


class Export(APIView):
    """Everybody, as JSON `{"users": […]}` or with `?as=csv` as a table; needs `users.view`. What was exported can be imported."""

    @extend_schema(parameters=[OpenApiParameter("as", str, enum=["json", "csv"])], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> HttpResponse:
        permissions.require(request.user, "users.view")
        rows = [_row(user) for user in User.objects.prefetch_related("groups").order_by("username")]
        journal.record("users.exported", data={"count": len(rows)})
        if request.query_params.get("as") != "csv":
            return Response({"users": rows})
        table = ([";".join(row["groups"]) if name == "groups" else row[name] for name in COLUMNS] for row in rows)
        text = "".join(csv_rows.lines([COLUMNS, *table]))
        attached = {"Content-Disposition": 'attachment; filename="robotctl-users.csv"'}
        return HttpResponse(text, content_type="text/csv; charset=utf-8", headers=attached)


class Import(APIView):
    """Make and change people by a table, all rows or none; needs `users.manage`. People that it does not name stay as they are.

    `{"applied", "rows": [{"row","username","does": "create|change|nothing","errors"}]}`; new people come in by a link.
    """

    @extend_schema(request=ImportRequest, responses=ImportReply)
    def post(self, request: Request) -> Response:
        by = manager(request)
        given = ImportRequest(data=request.data)
        given.is_valid(raise_exception=True)
        rows = _rows(given.validated_data)
        told: list[dict[str, Any]] = []
        try:
            with transaction.atomic():
                told += [_bring_in(number, row, by) for number, row in enumerate(rows, 1)]
                if given.validated_data["dry_run"] or any(one["errors"] for one in told):
                    raise _Undo
        except _Undo:
            return Response({"applied": False, "rows": told})
        return Response({"applied": True, "rows": told})


def _row(user: User) -> dict[str, Any]:
    about = {name: getattr(user, name) for name in COLUMNS if name not in ("role", "groups")}
    return about | {"role": user.role_id, "groups": sorted(group.name for group in user.groups.all())}


def _rows(given: dict[str, Any]) -> list[dict[str, Any]]:
    if ("users" in given) == ("csv" in given):
        raise serializers.ValidationError({"users": ["Give either users or csv."]})
    if "users" in given:
        return list(given["users"])
    reader = csv.DictReader(io.StringIO(given["csv"]))
    if unknown := sorted(set(reader.fieldnames or []) - set(COLUMNS)):
        raise serializers.ValidationError(
            {"csv": [f"Unknown columns: {', '.join(unknown)}. Known: {', '.join(COLUMNS)}."]}
        )
    return [_from_csv(row) for row in reader]


def _from_csv(row: dict[str, Any]) -> dict[str, Any]:
    clean: dict[str, Any] = {name: csv_rows.uncell(value or "") for name, value in row.items() if name}
    if "groups" in clean:
        clean["groups"] = [name for name in clean["groups"].split(";") if name]
    return clean


def _bring_in(number: int, row: dict[str, Any], by: User) -> dict[str, Any]:
    told: dict[str, Any] = {"row": number, "username": row.get("username"), "does": "nothing", "errors": {}}
    given = PersonRow(data=row)
    try:
        with transaction.atomic():
            given.is_valid(raise_exception=True)
            wanted: dict[str, Any] = given.validated_data
            known = User.objects.filter(username=wanted["username"]).first()
            if known is None:
                people.create(by, password=None, **wanted)
                told["does"] = "create"
            else:
                now = _row(known)  # what the table has no column for stays as it is
                differs = {name: wanted[name] for name in wanted if name in row and now[name] != wanted[name]}
                if differs:
                    people.change(known, by, differs)
                    told["does"] = "change"
    except exceptions.APIException as error:
        body = problems.body(error)
        told["errors"] = body.get("errors") or {"row": [body["detail"]]}
    return told
