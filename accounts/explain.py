"""Why somebody may do something, or may not: every role, grant and rule that speaks to it, in words."""

from typing import Any

from django.db import models
from django.utils import timezone

from accounts import entry, permissions, roles, second_factor
from accounts.journal import iso
from accounts.models import Grant, Role, User


def why(user: User, action: str, obj: models.Model) -> dict[str, Any]:
    """`{"user","action","allowed","because": [{"kind","gives","text", …}]}`; what gives the right comes first.

    `kind`: account, role, grant, rule. `gives`: whether this alone makes it a yes.
    """
    table, barred = Role.table(), _account(user, action)
    found = [_role(user, action, table), *_grants(user, action, obj, table)]
    for one in found:
        one["gives"] = one["gives"] and not barred
    found = [*barred, *found, *_rules(user, action, obj)]
    found.sort(key=lambda one: not one["gives"])
    allowed = not barred and permissions.may(user, action, obj)
    return {"user": user.username, "action": action, "allowed": allowed, "because": found}


def _reason(kind: str, gives: bool, text: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "gives": gives, "text": text, **more}


def _account(user: User, action: str) -> list[dict[str, Any]]:
    """What keeps this person from doing it, whatever they hold."""
    if not user.is_active:
        return [_reason("account", False, f"{user.username} is deactivated: such an account may nothing.")]
    first = entry.duty(user)
    if first is None or action == "robot.stop":  # stop waits for nothing
        return []
    text = f"Before anything but stop {user.username} has to do something else. They are told: {first.words}"
    return [_reason("account", False, text, code=first.code)]


def _holds(name: str, action: str, table: dict[str, tuple[str | None, frozenset[str]]]) -> str | None:
    """How the role `name` comes to hold `action`, in words; None when it does not."""
    for one in roles.ancestry(name, table):
        if action in table[one][1]:
            return "as its own" if one == name else f"inherited from {one}"
    return "because whoever may see a robot may stop it" if action in roles.effective(name, table) else None


def _role(user: User, action: str, table: dict[str, tuple[str | None, frozenset[str]]]) -> dict[str, Any]:
    name = user.role_id or roles.GUEST
    how = _holds(name, action, table)
    if how is None:
        return _reason("role", False, f"The role {name}, which holds everywhere, does not include {action}.", role=name)
    text = f"The role {name}, which holds everywhere, includes {action}, {how}."
    return _reason("role", True, text, role=name)


def _grants(
    user: User, action: str, obj: models.Model, table: dict[str, tuple[str | None, frozenset[str]]]
) -> list[dict[str, Any]]:
    now, found, has_factor = timezone.now(), [], second_factor.is_enabled(user)
    for target in permissions.granted_through(obj):
        for given in (
            Grant.objects.held_by(user).on(target).select_related("user", "group", "granted_by", "role").distinct()
        ):
            how = _holds(given.role_id, action, table)
            begins, over = given.starts_at > now, given.ends_at is not None and given.ends_at <= now
            holder = "them" if given.user else f"the group {given.group}"
            when = "begins later" if begins else "is over" if over else "is active"
            does = f"includes {action}, {how}" if how else f"does not include {action}"
            lacks = given.role.asks_factor and not has_factor
            if lacks:
                does += ", but counts only for who has a second factor, and they have none"
            text = f"A grant of {given.role_id} on {target._meta.verbose_name} {target} to {holder} {when}; it {does}."
            found.append(
                _reason(
                    "grant",
                    bool(how) and not begins and not over and not lacks,
                    text,
                    grant=given.pk,
                    role=given.role_id,
                    on=f"{target._meta.model_name} {target}",
                    starts_at=iso(given.starts_at),
                    ends_at=iso(given.ends_at),
                    reason=given.reason,
                    granted_by=given.granted_by.username if given.granted_by else None,
                )
            )
    return found


def _rules(user: User, action: str, obj: models.Model) -> list[dict[str, Any]]:
    if action in ("robot.view", "robot.stop"):
        return [_reason("rule", False, "Whoever may see a robot may stop it; no role can part the two.")]
    if not permissions.may(user, f"{obj._meta.model_name}.view", obj):
        return [_reason("rule", False, "What somebody may not see answers 404 to them, whatever else they hold.")]
    return []
