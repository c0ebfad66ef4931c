"""Who may do what: the one set of questions that pages, API, sockets, tasks and the admin ask.

Rights = the person's role, on everything, plus the grants that are active now, on their object. A grant counts only while
both its dates and its projection into guardian say so; anything else is no.
"""

from collections.abc import Callable, Iterable
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
from accounts.factor_models import Authenticator
from accounts.models import Grant, Role, User
from robotctl import events
from robotctl.problems import Problem

M = TypeVar("M", bound=models.Model)
Person = User | AnonymousUser
NOTHING: frozenset[str] = frozenset()
LONGEST_UNASKED_S = 3600.0


class Hidden(Http404):
    """Exists, but not for this person; looks like any other 404."""


def rights(user: Person, obj: models.Model | None = None) -> frozenset[str]:
    """Everything `user` may do now; with `obj`, on that object."""
    if not isinstance(user, User):
        return NOTHING
    held = _role_rights(user)
    if obj is not None and held != _all_rights():
        held |= _granted(user, obj, timezone.now())
    return user.limits.of(held, getattr(obj, "slug", None))


def may(user: Person, action: str, obj: models.Model | None = None) -> bool:
    """The dynamic check. Asks for grants only when the role does not already say yes."""
    if isinstance(user, User) and action in user.limits.of(_role_rights(user), getattr(obj, "slug", None)):
        return True
    return obj is not None and action in rights(user, obj)


def require(user: Person, action: str, obj: models.Model | None = None) -> None:
    """Raise Hidden (a 404) for an object that `user` may not even see, PermissionDenied for what they may not do."""
    if obj is not None and not may(user, f"{obj._meta.model_name}.view", obj):
        raise Hidden
    if not may(user, action, obj):
        raise PermissionDenied(f"Your role does not include {action}.")


def require_may_give(
    user: Person, given: frozenset[str], words: str = "You cannot give rights that you do not have"
) -> None:
    """Nobody gives rights that they do not hold themselves, but whoever manages the roles: else a right that was taken from
    all could never be given back. Raises Problem 403 `beyond_own_rights`."""
    held = rights(user)
    if "roles.manage" not in held and (beyond := sorted(given - held)):
        raise Problem(403, "beyond_own_rights", f"{words}: {', '.join(beyond)}.")


def visible(user: Person, queryset: models.QuerySet[M], action: str | None = None) -> models.QuerySet[M]:
    """The rows of `queryset` that `user` may see (or do `action` on). Two queries at most, however many rows."""
    action = action or f"{queryset.model._meta.model_name}.view"
    if not isinstance(user, User) or action not in user.limits.of(frozenset({action}), None):
        return queryset.none()
    if user.limits.slugs is not None and hasattr(queryset.model, "slug"):
        queryset = queryset.filter(slug__in=user.limits.slugs)
    if action in _role_rights(user):
        return queryset
    table, wanted = Role.table(), models.Q(pk__in=[])
    active = Grant.objects.active(timezone.now()).held_by(user).select_related("role")
    given = [
        (one.content_type_id, one.object_id)
        for one in _counting(user, active)
        if action in roles.effective(one.role_id, table)
    ]
    for kind, lookup in _lookups(queryset.model).items():
        wanted |= models.Q(**{f"{lookup}__in": [pk for found, pk in given if found == kind]})
    return queryset.filter(pk__in=queryset.model._default_manager.filter(wanted).values("pk"))


def _lookups(model: type[models.Model]) -> dict[int, str]:
    """The kinds of objects through which rights on a row of `model` are granted → the path from the row to them.

    The row itself, and what its model names in GRANTED_THROUGH: `{"app.model": "field"}`.
    """
    through: dict[str, str] = getattr(model, "GRANTED_THROUGH", {})
    kinds = {ContentType.objects.get_by_natural_key(*label.split(".")).pk: field for label, field in through.items()}
    return {ContentType.objects.get_for_model(model).pk: "pk"} | kinds


def changes_in_s(user: User) -> float:
    """How long until a grant of this person begins or ends by itself, in seconds; an hour at most."""
    now = timezone.now()
    held = Grant.objects.held_by(user)
    times = held.aggregate(
        begins=models.Min("starts_at", filter=models.Q(starts_at__gt=now)),
        ends=models.Min("ends_at", filter=models.Q(ends_at__gt=now)),
    )
    ends = [*times.values(), user.signed_in_until]
    left_s: list[float] = [(at - now).total_seconds() + 0.05 for at in ends if at]
    return min([LONGEST_UNASKED_S, *left_s])


def holds_until(user: User, action: str, obj: models.Model) -> datetime | None:
    """When what `user` may do now ends by itself: with the last grant that gives it. None: with no time that is known."""
    if action in _role_rights(user):
        return None
    active = Grant.objects.active(timezone.now()).held_by(user).on(*granted_through(obj)).select_related("role")
    table = Role.table()
    ends = [one.ends_at for one in _counting(user, active) if action in roles.effective(one.role_id, table)]
    known = [at for at in ends if at is not None]
    return max(known) if known and len(known) == len(ends) else None


def granted_through(obj: models.Model) -> list[models.Model]:
    """The objects on which a grant gives rights on `obj`: itself, and what it belongs to."""
    found: list[models.Model] = [obj]
    for field in getattr(obj, "GRANTED_THROUGH", {}).values():
        value = getattr(obj, field)
        found += [] if value is None else value.all() if hasattr(value, "all") else [value]
    return found


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
    """What the grants that are active now give on `obj`: what they promise and what guardian holds, and nothing else."""
    if not user.is_active:
        return NOTHING
    held = frozenset[str]()
    table: dict[str, tuple[str | None, frozenset[str]]] = {}
    for given_on in granted_through(obj):
        grants = Grant.objects.active(now).held_by(user).on(given_on).select_related("role")
        names = {one.role_id for one in _counting(user, grants)}
        if names:
            table = table or Role.table()
            promised = frozenset[str]().union(*(roles.effective(name, table) for name in names))
            perms = ObjectPermissionChecker(user).get_perms(given_on)
            held |= promised & {f"robot.{codename.removesuffix('_robot')}" for codename in perms}
    return roles.with_consequences(held)


def _counting(user: User, grants: models.QuerySet[Grant]) -> list[Grant]:
    """Those that count: one whose role asks for a second factor does only for who has one."""
    found = list(grants)
    asked = any(one.role.asks_factor for one in found)
    if asked and not Authenticator.objects.filter(user=user, confirmed=True).exists():
        return [one for one in found if not one.role.asks_factor]
    return found


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
        rights_changed(holders(Grant.objects.filter(pk=made.pk)))
    return made


def withdraw(given: Grant) -> None:
    """End a grant now."""
    with transaction.atomic():
        holder, obj = given.user or given.group, given.target
        whose = holders(Grant.objects.filter(pk=given.pk))
        given.delete()
        if obj is not None and holder is not None:
            project(obj, holder)
        rights_changed(whose)


def withdraw_all(obj: models.Model) -> None:
    """End every grant on an object that goes."""
    for given in Grant.objects.on(obj).select_related("user", "group"):
        withdraw(given)


def project(obj: models.Model, holder: User | Group) -> None:
    """Make guardian's rows for (holder, obj) say what the grants that have not ended promise."""
    now, table = timezone.now(), Role.table()
    theirs = Grant.objects.filter(user=holder) if isinstance(holder, User) else Grant.objects.filter(group=holder)
    promised = {right for given in theirs.on(obj).open(now) for right in roles.effective(given.role_id, table)}
    wanted = {f"{verb}_robot" for verb in roles.ROBOT if f"robot.{verb}" in promised}
    checker = ObjectPermissionChecker(holder)
    current = set(_own_perms(checker, obj, holder))
    for codename in wanted - current:
        assign_perm(codename, holder, obj)
    for codename in current - wanted:
        remove_perm(codename, holder, obj)


def project_role(name: str) -> None:
    """A role has changed: project every grant of it and of what inherits from it anew. The caller rings."""
    table = Role.table()
    heirs = [one for one in table if name in roles.ancestry(one, table)]
    with transaction.atomic():
        for given in Grant.objects.filter(role__in=heirs).select_related("user", "group"):
            holder = given.user or given.group
            if holder is not None and given.target is not None:
                project(given.target, holder)


def _own_perms(checker: ObjectPermissionChecker, obj: models.Model, holder: User | Group) -> Iterable[str]:
    perms: Iterable[str] = checker.get_user_perms(obj) if isinstance(holder, User) else checker.get_group_perms(obj)
    return perms


# What upper floors do about rights that have changed, once that is committed.
when_changed: list[Callable[[], None]] = []


def rights_added() -> None:
    """Ring for the sockets: there is something new that some may see. Nothing that anybody holds becomes void."""
    transaction.on_commit(lambda: events.publish("rights", "bell", {"user_id": None}))


def rights_changed(whose: User | Iterable[int] | None) -> None:
    """Make void the stop tickets of a person, of these (numbers of users), or of everybody (None), and ring for the sockets that
    must be asked again: those of one person, else all."""
    ids = [None] if whose is None else [whose.pk] if isinstance(whose, User) else sorted(set(whose))
    stop_tickets.revoke(ids)
    for follow in when_changed:
        transaction.on_commit(follow, robust=True)
    user_id = ids[0] if len(ids) == 1 else None
    transaction.on_commit(lambda: events.publish("rights", "bell", {"user_id": user_id}))


def holders(grants: models.QuerySet[Grant]) -> set[int]:
    """The numbers of the people who hold one of these, the members of groups among them."""
    alone = grants.filter(user__isnull=False).order_by().values_list("user_id", flat=True)
    together = User.objects.filter(groups__grants__in=grants).order_by().values_list("pk", flat=True)
    return {pk for pk in alone if pk is not None} | set(together)
