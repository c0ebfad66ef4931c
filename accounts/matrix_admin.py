"""The matrix as a grid in the admin."""

import itertools
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from accounts import matrix, permissions, role_changes, roles
from accounts.models import Role, User
from accounts.rights_admin import say_refused
from robotctl.problems import Problem

WORDS = {"own": "{role} has {action} itself", "no": "{role} has not {action}"}
WORDS |= {
    "inherited": "{role} inherits {action} from {giver}",
    "follows": "{role} has {action}, since seeing and stopping go together",
}


def grid(model_admin: "ModelAdmin[Role]", request: HttpRequest) -> HttpResponse:
    """Show the grid; on POST make every role's own rights be as ticked, all or none."""
    assert isinstance(request.user, User)
    if request.method == "POST":
        permissions.require(request.user, "roles.manage")
        try:
            with role_changes.changing():  # the roles are read, and changed, while nobody else does
                role_changes.import_table(_ticked(request.POST.getlist("cell"), request.POST.getlist("shown")))
            messages.success(request, "The matrix is in force.")
        except Problem as problem:
            say_refused(request, problem, "Nothing was changed.")
        return HttpResponseRedirect(request.path)
    context = model_admin.admin_site.each_context(request) | _shown(permissions.may(request.user, "roles.manage"))
    return TemplateResponse(request, "admin/accounts/role/matrix.html", context | {"opts": Role._meta})


def _ticked(cells: list[str], shown: list[str]) -> list[dict[str, Any]]:
    """The table that the ticks make: only what differs from what was `shown` is changed, so that what somebody else has
    changed meanwhile stays."""
    given, taken, rows = set(cells) - set(shown), set(shown) - set(cells), []
    for role in Role.objects.all():
        own = set(role.permissions)
        for action in roles.ACTIONS:
            own |= {action} if f"{role.pk}:{action}" in given else set()
            own -= {action} if f"{role.pk}:{action}" in taken else set()
        about = {"name": role.pk, "title": role.title, "parent": role.parent_id, "mfa_required": role.mfa_required}
        rows.append(about | {"permissions": [action for action in roles.ACTIONS if action in own]})
    return rows


def _shown(may_change: bool) -> dict[str, Any]:
    shown = matrix.matrix()
    table = Role.table()
    rows = [
        {
            "action": action["name"],
            "resource": action["resource"],
            "verb": action["verb"].replace("_", " "),
            "cells": [_cell(role, action["name"], table) for role in shown["roles"]],
        }
        for action in shown["actions"]
    ]
    groups = [
        {"resource": resource, "rows": list(found)}
        for resource, found in itertools.groupby(rows, key=lambda row: str(row["resource"]))
    ]
    return {
        "title": "Roles × rights",
        "roles": shown["roles"],
        "groups": groups,
        "findings": matrix.validation(),
        "may_change": may_change,
    }


def _cell(role: dict[str, Any], action: str, table: dict[str, tuple[str | None, frozenset[str]]]) -> dict[str, str]:
    state = role["cells"][action]
    giver = next((one for one in roles.ancestry(role["name"], table)[1:] if action in table[one][1]), "")
    words = WORDS[state].format(role=role["title"], action=action, giver=giver)
    return {"state": state, "value": f"{role['name']}:{action}", "words": words}
