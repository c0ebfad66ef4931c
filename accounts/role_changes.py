"""Changing roles: each change is checked whole, journalled with before and after, and in force at once in every process."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import ProtectedError

from accounts import journal, permissions, roles
from accounts.models import Grant, Role, User
from robotctl.problems import Problem

ADMINISTERS = frozenset({"users.manage", "roles.manage"})


@contextmanager
def changing() -> Iterator[None]:
    """Changes that may take the last administrator away: made one after the other, and taken back when they do."""
    with transaction.atomic():
        list(Role.objects.select_for_update().order_by("pk"))
        yield
        require_administered()


def require_administered() -> None:
    """Raises Problem 409 `last_admin` when nobody is left who could manage people and roles."""
    table = Role.table()
    able = [name for name in table if roles.effective(name, table) >= ADMINISTERS]
    if not any(user.has_usable_password() for user in User.objects.filter(is_active=True, role__in=able)):
        words = "Nobody would be left who may manage people and roles; give that to somebody else first."
        raise Problem(409, "last_admin", words)


def save(role: Role) -> Role:
    """Make or change a role. Raises Problem 400, 409 `last_admin`."""
    with changing():
        before = _stopping()
        _apply(role)
        _ring(before)
    return role


def _stopping() -> dict[str, tuple[bool, bool]]:
    """What stop tickets rest on: for each role whether it may stop, and whether it asks for a second factor."""
    table = Role.table()
    asking = dict(Role.objects.values_list("name", "asks_factor"))
    return {name: ("robot.stop" in roles.effective(name, table), asking[name]) for name in table}


def _ring(before: dict[str, tuple[bool, bool]]) -> None:
    """Every socket asks again; void are only the stop tickets of those whose role has got another say about stopping."""
    now = _stopping()
    changed = [name for name in now if name in before and now[name] != before[name]]
    held = permissions.holders(Grant.objects.filter(role__in=changed))
    permissions.rights_changed(held | set(User.objects.filter(role__in=changed).values_list("pk", flat=True)))


def _apply(role: Role) -> None:
    try:
        role.full_clean(validate_unique=role._state.adding)
    except ValidationError as error:
        errors = {name: [str(one) for one in words] for name, words in error.message_dict.items()}
        raise Problem(400, "invalid", "; ".join(errors[next(iter(errors))]), errors=errors) from error
    role.permissions = sorted(set(role.permissions), key=roles.ACTIONS.index)
    role.save()
    _inherit_factor()
    permissions.project_role(role.pk)


def _inherit_factor() -> None:
    """A role that inherits from one that requires a second factor requires it as well."""
    table, asking = Role.table(), set(Role.objects.filter(mfa_required=True).values_list("pk", flat=True))
    heirs = [name for name in table if asking & set(roles.ancestry(name, table))]
    Role.objects.filter(pk__in=heirs, asks_factor=False).update(asks_factor=True)
    Role.objects.filter(asks_factor=True).exclude(pk__in=heirs).update(asks_factor=False)


def delete(role: Role) -> None:
    """Raises Problem 409 `built_in`, `in_use`."""
    if role.pk in roles.DEFAULTS:
        raise Problem(409, "built_in", f"{role.pk} is one of the roles that every installation has; change it instead.")
    try:
        with changing():
            role.delete()
            permissions.rights_changed(())  # nobody had it
    except ProtectedError as error:
        used = sorted({type(one)._meta.verbose_name_plural or "" for one in error.protected_objects})
        raise Problem(409, "in_use", f"{role.pk} is still used by {', '.join(map(str, used))}.") from error


def import_table(rows: Iterable[dict[str, Any]]) -> None:
    """Make the roles be as in an exported matrix, all or none. Roles that it does not name stay.

    Judged is how they stand together in the end: in between, a parent may still have another place.
    """
    wanted = {row["name"]: row for row in rows}
    with changing():
        before = _stopping()
        known = set(Role.objects.values_list("pk", flat=True)) | wanted.keys()
        for name, row in wanted.items():
            if row["parent"] is not None and row["parent"] not in known:
                words = f"There is no role {row['parent']!r}."
                raise Problem(400, "invalid", words, errors={f"roles.{name}.parent": [words]})
            Role.objects.get_or_create(pk=name, defaults={"title": row["title"]})
        for name, row in wanted.items():
            parent = Role.objects.values_list("parent_id", flat=True).get(pk=name)
            if parent != row["parent"]:  # no signal tells of it
                Role.objects.filter(pk=name).update(parent=row["parent"])
                journal.record("role.changed", name, data={"changes": {"parent": [parent, row["parent"]]}})
        for name, row in wanted.items():
            role = Role.objects.get(pk=name)
            role.title, role.permissions, role.mfa_required = row["title"], row["permissions"], row["mfa_required"]
            _apply(role)
        _ring(before)
