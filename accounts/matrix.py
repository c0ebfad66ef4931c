"""The matrix of rights: resource × action for each role, what is inherited shown as such, and what is wrong with it."""

from typing import Any

from accounts import roles
from accounts.models import Grant, Role, User


def matrix() -> dict[str, Any]:
    """`{"actions": [{"name","resource","verb"}], "roles": [{"name","title","parent","mfa_required","permissions","cells"}]}`.

    A cell is `own`, `inherited`, `follows` (seeing and stopping go together) or `no`.
    """
    table = Role.table()
    order = sorted(Role.objects.all(), key=lambda role: (len(roles.ancestry(role.pk, table)), role.pk))
    return {
        "actions": [
            {"name": action, "resource": action.partition(".")[0], "verb": action.partition(".")[2]}
            for action in roles.ACTIONS
        ],
        "roles": [shape(role, table) for role in order],
    }


def shape(role: Role, table: dict[str, tuple[str | None, frozenset[str]]]) -> dict[str, Any]:
    return {
        "name": role.pk,
        "title": role.title,
        "parent": role.parent_id,
        "mfa_required": role.mfa_required,
        "built_in": role.pk in roles.DEFAULTS,
        "permissions": [action for action in roles.ACTIONS if action in role.permissions],
        "cells": {action: cell(role.pk, action, table) for action in roles.ACTIONS},
    }


def cell(name: str, action: str, table: dict[str, tuple[str | None, frozenset[str]]]) -> str:
    """How the role `name` holds `action`."""
    first, *ancestors = roles.ancestry(name, table)
    if action in table[first][1]:
        return "own"
    if any(action in table[one][1] for one in ancestors):
        return "inherited"
    return "follows" if action in roles.effective(name, table) else "no"


def validation() -> list[dict[str, Any]]:
    """What is odd about the roles: `[{"kind","role","action","text"}]`; kinds: contradiction, redundant, orphan, unreachable."""
    table = Role.table()
    held = set(User.objects.filter(is_active=True).values_list("role_id", flat=True))
    used = held | set(Grant.objects.values_list("role_id", flat=True))
    parents = {parent for parent, _ in table.values() if parent}
    found: list[dict[str, Any]] = []
    for name, (_, own) in table.items():
        found += _of_role(name, own, table)
        if name not in used | parents and name not in roles.DEFAULTS:
            found.append(
                _note("orphan", name, None, f"Nobody has the role {name}, no grant gives it, no role inherits from it.")
            )
    everywhere = frozenset[str]().union(*(roles.effective(name, table) for name in held))
    for action in roles.ACTIONS:
        if action not in everywhere:
            found.append(_note("unreachable", None, action, f"Nobody who is active holds {action} by their role."))
    return found


def _of_role(
    name: str, own: frozenset[str], table: dict[str, tuple[str | None, frozenset[str]]]
) -> list[dict[str, Any]]:
    found = []
    effective = roles.effective(name, table)
    inherited = effective_of_parent(name, table)
    for action in sorted(own & inherited):
        found.append(_note("redundant", name, action, f"{name} holds {action} itself, and inherits it as well."))
    robot = sorted(action for action in effective if action.startswith("robot."))
    if robot and "robot.view" not in effective:
        text = f"{name} may {', '.join(robot)} but see no robot: what one may not see answers 404."
        found.append(_note("contradiction", name, "robot.view", text))
    for resource in ("alerts", "journal", "users", "monitoring", "system"):
        verbs = [action for action in effective if action.startswith(f"{resource}.")]
        if verbs and f"{resource}.view" not in effective:
            text = f"{name} may {', '.join(sorted(verbs))} but not look at it."
            found.append(_note("contradiction", name, f"{resource}.view", text))
    return found


def effective_of_parent(name: str, table: dict[str, tuple[str | None, frozenset[str]]]) -> frozenset[str]:
    parent = table[name][0]
    return roles.effective(parent, table) if parent else frozenset()


def _note(kind: str, role: str | None, action: str | None, text: str) -> dict[str, Any]:
    return {"kind": kind, "role": role, "action": action, "text": text}
