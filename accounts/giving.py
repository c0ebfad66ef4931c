"""Giving rights and taking them: nobody gives what they do not hold, or takes from somebody who holds more.

Asked wherever rights come or go: grants, groups of people, people, and what objects belong to.
"""

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.db import models, transaction
from django.utils import timezone

from accounts import permissions, roles
from accounts.journal import iso
from accounts.models import Grant, Role, User
from robotctl.problems import Problem

TAKES = "You cannot take rights from somebody who has more than you"
MANAGES = "They hold rights that you do not have"


def promised(grants: models.QuerySet[Grant]) -> frozenset[str]:
    """What these give together, those that begin later included. What is over gives nothing."""
    names = Grant.objects.filter(pk__in=grants.values("pk")).open(timezone.now()).order_by()
    return _of_roles(names.values_list("role_id", flat=True).distinct())


def held_by(people: models.QuerySet[User]) -> frozenset[str]:
    """What these hold together: by their roles, on everything, and by their grants, wherever."""
    grants = Grant.objects.filter(models.Q(user__in=people) | models.Q(group__user__in=people))
    return _of_roles(people.order_by().values_list("role_id", flat=True).distinct()) | promised(grants)


def _of_roles(names: Iterable[str]) -> frozenset[str]:
    table = Role.table()
    return frozenset[str]().union(*(roles.effective(name, table) for name in names))


def grantable() -> list[type[models.Model]]:
    """The models on whose rows rights are granted: those that name others in GRANTED_THROUGH, and those others."""
    found: list[type[models.Model]] = []
    for model in apps.get_models():
        if through := getattr(model, "GRANTED_THROUGH", None):
            found += [model, *(apps.get_model(label) for label in through)]
    return found


def rows(model: type[models.Model]) -> models.QuerySet[models.Model]:
    """Its rows that rights can be granted on; the model says in GRANTED_WHILE which these are."""
    return model._default_manager.filter(**getattr(model, "GRANTED_WHILE", {}))


def seen(user: User, model: type[models.Model]) -> models.QuerySet[models.Model]:
    """The rows of `model` on which `user` may give rights, or bring things into: of which nothing is hidden from them."""
    found = rows(model)
    for inner in apps.get_models():
        field = getattr(inner, "GRANTED_THROUGH", {}).get(model._meta.label_lower)
        if field is not None:
            hidden = rows(inner).exclude(pk__in=permissions.visible(user, rows(inner)).values("pk"))
            found = found.exclude(pk__in=hidden.exclude(**{field: None}).values(field))
    return permissions.visible(user, found) if hasattr(model, "GRANTED_THROUGH") else found


def unseen(user: User, slugs: Iterable[str]) -> list[str]:
    """Which of these slugs are of nothing that this person sees: what is hidden from them is as if it was not there."""
    left = set(slugs)
    for model in grantable():
        if hasattr(model, "slug"):
            seen = permissions.visible(user, rows(model).filter(slug__in=left))
            left -= set(seen.values_list("slug", flat=True))
    return sorted(left)


def require_may_grant(by: User, role: Role) -> None:
    """Raises Problem 403 `beyond_own_rights`."""
    permissions.require_may_give(by, _of_roles([role.pk]))


def require_may_manage(by: User, user: User) -> None:
    """Whoever manages somebody holds at least their rights. Raises Problem 403 `beyond_own_rights`.

    Asked of the role that `user` has in memory: that may be the one they are about to get.
    """
    held = _of_roles([user.role_id or roles.GUEST])
    if user.pk is not None and user.pk != by.pk:
        held |= promised(Grant.objects.held_by(user))
    permissions.require_may_give(by, held, MANAGES)


def require_another(by: User, user: User) -> None:
    """Raises Problem 409 `yourself`."""
    if user.pk == by.pk:
        raise Problem(409, "yourself", "Your own is on the account page, where your password is asked for.")


def require_may_take(by: User, grants: models.QuerySet[Grant]) -> None:
    """Whoever ends these holds what they give, and what their holders hold. What is one's own, or over, can be given up.

    Raises Problem 403 `beyond_own_rights`.
    """
    others = grants.exclude(user__isnull=False, user_id=by.pk)
    losing = permissions.holders(Grant.objects.filter(pk__in=others.values("pk")).open(timezone.now())) - {by.pk}
    held = held_by(User.objects.filter(pk__in=losing))
    permissions.require_may_give(by, promised(others) | held, TAKES)


def require_may_move(by: User, *, left: list[Any], joined: list[Any]) -> None:
    """Something leaves and joins what rights on it are given through: grants there are taken from it, and given on it.

    Where grants lie, that needs `users.manage`. Raises Problem 403 `permission_denied`, `beyond_own_rights`.
    """
    taken, given = (Grant.objects.on(*objects).open(timezone.now()) for objects in (left, joined))
    if not taken.exists() and not given.exists():
        return
    if not permissions.may(by, "users.manage"):
        where = " and ".join(
            str(obj) for obj in [*left, *joined] if Grant.objects.on(obj).open(timezone.now()).exists()
        )
        words = f"Rights are granted on {where}: who may what would change, and that needs users.manage."
        raise Problem(403, "permission_denied", words)
    permissions.require_may_give(by, promised(given))
    require_may_take(by, taken)


def give(obj: models.Model, *, role: Role, by: User, **about: Any) -> Grant:
    """`permissions.grant`, by somebody. Raises Problem 403 `beyond_own_rights`, 409 `duplicate` when it adds nothing."""
    with transaction.atomic():
        require_may_grant(by, role)
        _one_at_a_time(about["holder"])
        if (same := _held_already(obj, role, about)) is not None:
            until = "" if same.ends_at is None else f" until {iso(same.ends_at)}"
            raise Problem(409, "duplicate", f"They hold {role} on {obj} already{until} (grant {same.pk}).")
        return permissions.grant(obj, role=role, by=by, **about)


def _one_at_a_time(holder: models.Model) -> None:
    """Two who give the same to the same holder at once: the second sees what the first gave. SQLite has one writer by nature."""
    type(holder)._default_manager.select_for_update(no_key=True).get(pk=holder.pk)


def _held_already(obj: models.Model, role: Role, about: dict[str, Any]) -> Grant | None:
    """A grant of the same role on the same object to the same holder, that covers all of the time asked for."""
    who = {"user" if isinstance(about["holder"], User) else "group": about["holder"]}
    begins, ends = about.get("starts_at") or timezone.now(), about.get("ends_at")
    longer = models.Q(ends_at=None) if ends is None else models.Q(ends_at=None) | models.Q(ends_at__gte=ends)
    return Grant.objects.on(obj).filter(longer, role=role, starts_at__lte=begins, **who).first()


def take(given: Grant, by: User) -> None:
    """`permissions.withdraw`, by somebody. Raises Problem 403 `beyond_own_rights`."""
    with transaction.atomic():
        require_may_take(by, Grant.objects.filter(pk=given.pk))
        permissions.withdraw(given)


def take_all(obj: models.Model, by: User) -> None:
    """`permissions.withdraw_all`, by somebody: `obj` goes. Raises Problem 403 `permission_denied`, `beyond_own_rights`."""
    with transaction.atomic():
        require_may_move(by, left=[obj], joined=[])
        permissions.withdraw_all(obj)
