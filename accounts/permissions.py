"""Who may do what: the one set of questions that pages, API, sockets, tasks and the admin ask.

Rights = the person's role, on everything, plus the grants that are active now, on their object. A grant counts only while
both its dates and its projection into guardian say so; anything else is no.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from django.contrib.auth.models import AnonymousUser, Group
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import Http404
from django.utils import timezone
from guardian.core import ObjectPermissionChecker
from guardian.shortcuts import assign_perm, remove_perm

from accounts import roles, stop_tickets
from accounts.models import Grant, Role, User
from robotctl import events

M = TypeVar("M", bound=models.Model)
Person = User | AnonymousUser
NOTHING: frozenset[str] = frozenset()


class Hidden(Http404):
    """Exists, but not for this person; looks like any other 404."""


def rights(user: Person, obj: models.Model | None = None) -> frozenset[str]:
    """Everything `user` may do now; with `obj`, on that object."""
    held = _role_rights(user)
    if obj is not None and isinstance(user, User) and held != _all_rights():
        held |= _granted(user, obj, timezone.now())
    return held


def may(user: Person, action: str, obj: models.Model | None = None) -> bool:
    """The dynamic check. Asks for grants only when the role does not already say yes."""
    return action in _role_rights(user) or (obj is not None and action in rights(user, obj))


def require(user: Person, action: str, obj: models.Model | None = None) -> None:
    """Raise Hidden (a 404) for an object that `user` may not even see, PermissionDenied for what they may not do."""
    if obj is not None and not may(user, f"{obj._meta.model_name}.view", obj):
        raise Hidden
    if not may(user, action, obj):
        raise PermissionDenied(f"Your role does not include {action}.")


def visible(user: Person, queryset: models.QuerySet[M], action: str | None = None) -> models.QuerySet[M]:
    """The rows of `queryset` that `user` may see (or do `action` on). Two queries at most, however many rows."""
    action = action or f"{queryset.model._meta.model_name}.view"
    if action in _role_rights(user):
        return queryset
    if not isinstance(user, User):
        return queryset.none()
    table = Role.table()
    kind = ContentType.objects.get_for_model(queryset.model)
    active = Grant.objects.active(timezone.now()).held_by(user).filter(content_type=kind)
    rows = active.values_list("object_id", "role_id").distinct()
    return queryset.filter(pk__in=[pk for pk, role in rows if action in roles.effective(str(role), table)])


def _all_rights() -> frozenset[str]:
    return frozenset(roles.ACTIONS)


def _role_rights(user: Person) -> frozenset[str]:
    """The rights of the person's role; read once per request (the user object lives as long)."""
    if not isinstance(user, User) or not user.is_active:
        return NOTHING
    cached: frozenset[str] | None = user.__dict__.get("_role_rights")
    if cached is None:
        cached = user.__dict__["_role_rights"] = roles.effective(user.role_id or roles.GUEST, Role.table())
    return cached


def _granted(user: User, obj: models.Model, now: datetime) -> frozenset[str]:
    if not user.is_active:
        return NOTHING
    names = list(Grant.objects.active(now).held_by(user).on(obj).values_list("role_id", flat=True))
    if not names:
        return NOTHING
    table = Role.table()
    promised = frozenset[str]().union(*(roles.effective(name, table) for name in names))
    kind = obj._meta.model_name
    projected = {
        f"{kind}.{codename.removesuffix(f'_{kind}')}" for codename in ObjectPermissionChecker(user).get_perms(obj)
    }
    return roles.with_consequences(promised & projected)


def grant(
    obj: models.Model,
    *,
    role: Role,
    holder: User | Group,
    by: User | None,
    reason: str,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
) -> Grant:
    """Give `holder` a role on one object, and project it into guardian in the same transaction."""
    with transaction.atomic():
        made = Grant.objects.create(
            role=role,
            user=holder if isinstance(holder, User) else None,
            group=holder if isinstance(holder, Group) else None,
            content_type=ContentType.objects.get_for_model(obj),
            object_id=str(obj.pk),
            starts_at=starts_at or timezone.now(),
            ends_at=ends_at,
            reason=reason,
            granted_by=by,
        )
        project(obj, holder)
    return made


def withdraw(given: Grant) -> None:
    """End a grant now."""
    with transaction.atomic():
        holder, obj = given.user or given.group, given.target
        given.delete()
        if obj is not None and holder is not None:
            project(obj, holder)


def project(obj: models.Model, holder: User | Group) -> None:
    """Make guardian's rows for (holder, obj) say what the grants that have not ended promise."""
    now, table, kind = timezone.now(), Role.table(), obj._meta.model_name
    theirs = Grant.objects.filter(user=holder) if isinstance(holder, User) else Grant.objects.filter(group=holder)
    open_grants = theirs.on(obj).filter(models.Q(ends_at__isnull=True) | models.Q(ends_at__gt=now))
    promised = {right for given in open_grants for right in roles.effective(given.role_id, table)}
    wanted = {f"{verb}_{kind}" for verb in roles.ROBOT if f"{kind}.{verb}" in promised}
    checker = ObjectPermissionChecker(holder)
    current = set(_own_perms(checker, obj, holder))
    for codename in wanted - current:
        assign_perm(codename, holder, obj)
    for codename in current - wanted:
        remove_perm(codename, holder, obj)
    rights_changed(holder)


def project_role(role: Role) -> None:
    """A role has changed: project every grant of it anew, and have every socket ask again."""
    with transaction.atomic():
        for given in Grant.objects.filter(role=role).select_related("user", "group"):
            holder = given.user or given.group
            if holder is not None and given.target is not None:
                project(given.target, holder)
        rights_changed(None)


def _own_perms(checker: ObjectPermissionChecker, obj: models.Model, holder: User | Group) -> Iterable[str]:
    perms: Iterable[str] = checker.get_user_perms(obj) if isinstance(holder, User) else checker.get_group_perms(obj)
    return perms


def rights_changed(holder: User | Group | None) -> None:
    """Ring for the sockets that must be asked again, and make void the stop tickets. None: for everybody."""
    user_id = holder.pk if isinstance(holder, User) else None
    stop_tickets.revoke(user_id)
    transaction.on_commit(lambda: events.publish("rights", "bell", {"user_id": user_id}))
