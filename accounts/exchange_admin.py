"""People as a table, out of the admin and into it: looked at first, then brought in."""

import csv
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from rest_framework.serializers import ValidationError

from accounts import permissions, user_exchange, user_import
from accounts.models import User
from accounts.rights_admin import person
from robotctl.problems import Problem

MOST_BYTES = 2_000_000


def page(model_admin: "ModelAdmin[User]", request: HttpRequest) -> HttpResponse:
    """The export's addresses, and a form that takes a table. Looking needs `users.view`, bringing in `users.manage`."""
    may_change = permissions.may(request.user, "users.manage")
    told: dict[str, Any] | None = None
    table = ""
    if request.method == "POST":
        permissions.require(request.user, "users.manage")
        try:
            table = _given(request)
            rows = user_exchange.table_of(table)
            if not rows:
                raise Problem(400, "invalid", "The table has a head and no rows.")
            told = user_import.bring_in(rows, person(request), dry_run="apply" not in request.POST)
        except (Problem, ValidationError, csv.Error) as error:
            messages.error(request, f"Nothing was brought in. {_words(error)}")
    context = model_admin.admin_site.each_context(request) | {
        "title": "People as a table",
        "opts": User._meta,
        "columns": user_exchange.COLUMNS,
        "may_change": may_change,
        "told": told,
        "wrong": sum(bool(row["errors"]) for row in told["rows"]) if told else 0,
        "changes": sum(row["does"] != "nothing" for row in told["rows"]) if told else 0,
        "checked": "apply" not in request.POST,
        "table": table,
    }
    return TemplateResponse(request, "admin/accounts/user/exchange.html", context)


def _given(request: HttpRequest) -> str:
    """The table that was pasted, or the file. Raises Problem."""
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile):
        text = request.POST.get("table", "")
    elif file.size is None or file.size > MOST_BYTES:
        raise Problem(413, "too_large", f"A table has at most {MOST_BYTES // 1_000_000} MB.")
    else:
        try:
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Problem(400, "invalid", "The file is no text in UTF-8: save it as “CSV UTF-8”.") from error
    if not text.strip():
        raise Problem(400, "invalid", "Paste a table, or choose a file.")
    return text


def _words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return " ".join(str(words) for words in error.detail.get("csv", error.detail))  # type: ignore[union-attr]
    return str(error.detail) if isinstance(error, Problem) else f"This is no table that can be read: {error}."
