"""`users/export/` and `users/import/`: people as a table, out and in. Passwords are in neither."""

import csv
import io
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import csv_rows, journal, permissions, user_import
from accounts.models import User
from accounts.user_views import manager
from robotctl.strict import StrictSerializer

COLUMNS = ("username", "email", "first_name", "last_name", "role", "groups", "is_active")


class ImportRequest(StrictSerializer):
    """Rows as `users`, or the same as text in `csv`. `dry_run`: say what would happen, and change nothing."""

    users = serializers.ListField(child=serializers.DictField(), required=False)
    csv = serializers.CharField(required=False, trim_whitespace=False)
    dry_run = serializers.BooleanField(default=False)


class ImportReply(serializers.Serializer[Any]):
    applied = serializers.BooleanField()
    rows = serializers.JSONField()


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
    409 `changed_meanwhile`: nothing was brought in, try again.
    """

    @extend_schema(request=ImportRequest, responses=ImportReply)
    def post(self, request: Request) -> Response:
        by = manager(request)
        given = ImportRequest(data=request.data)
        given.is_valid(raise_exception=True)
        rows = _rows(given.validated_data)
        return Response(user_import.bring_in(rows, by, dry_run=given.validated_data["dry_run"]))


def _row(user: User) -> dict[str, Any]:
    about = {name: getattr(user, name) for name in COLUMNS if name not in ("role", "groups")}
    return about | {"role": user.role_id, "groups": sorted(group.name for group in user.groups.all())}


def _rows(given: dict[str, Any]) -> list[dict[str, Any]]:
    if ("users" in given) == ("csv" in given):
        raise serializers.ValidationError({"users": ["Give either users or csv."]})
    if "users" in given:
        return list(given["users"])
    try:
        return table_of(given["csv"])
    except csv.Error as error:
        raise serializers.ValidationError({"csv": [f"This is no table that can be read: {error}."]}) from error


def table_of(text: str) -> list[dict[str, Any]]:
    """As spreadsheets write it: with a byte order mark, whatever the line ends, parted by commas, semicolons or tabs.

    Raises csv.Error.
    """
    lines = io.StringIO(text.removeprefix("\ufeff"), newline=None)
    head = lines.readline()
    lines.seek(0)
    reader = csv.DictReader(lines, delimiter=max(",;\t", key=head.count))
    if unknown := sorted(set(reader.fieldnames or []) - set(COLUMNS)):
        raise serializers.ValidationError(
            {"csv": [f"Unknown columns: {', '.join(unknown)}. Known: {', '.join(COLUMNS)}."]}
        )
    rows = []
    for row in reader:
        if None in row:
            words = f"Line {reader.line_num} has more cells than the head has columns: is a text that holds the separator not in quotes?"
            raise serializers.ValidationError({"csv": [words]})
        rows.append(_from_csv(row))
    return rows


def _from_csv(row: dict[str, Any]) -> dict[str, Any]:
    """Cells that a short row does not have stay as they are."""
    clean: dict[str, Any] = {name: csv_rows.uncell(value) for name, value in row.items() if name and value is not None}
    if "groups" in clean:
        clean["groups"] = [name for name in clean["groups"].split(";") if name]
    return clean
