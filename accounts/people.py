"""Making, changing and forgetting people. Nobody gives rights that they do not hold, or takes the last administrator away."""

from collections.abc import Callable
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import giving, journal, names, passwords, permissions, role_changes, roles, second_factor, sessions
from accounts.models import Grant, JournalOrigin, Role, User, WsTicket
from robotctl.problems import Problem

STAYS_FORGOTTEN = "This person's data was deleted; make a new person instead."
DETAILS = ("email", "first_name", "last_name")
CHANGEABLE = (*DETAILS, "is_active", "must_change_password")

# What other apps hold of a person by name, and put another name in the place of: (old, new). See firmware.apps.
also_forget: list[Callable[[str, str], None]] = []


def create(by: User, *, username: str, password: str | None, role: str, groups: list[str], **about: Any) -> User:
    """A new person. Without a password they come in by a link. Raises Problem 400, 403 `beyond_own_rights`."""
    with transaction.atomic():
        user = User(username=username, **about)
        _give_role(user, role, by)
        if password is None:
            user.set_unusable_password()
        else:
            set_password(user, password)
        _checked(user)
        user.save()
        _join(user, groups, by)
    return user


def register(*, username: str, password: str, email: str, role: str) -> User:
    """Somebody who makes themselves. Raises Problem 400."""
    with transaction.atomic():
        user = User(username=username, email=email, role_id=role)
        set_password(user, password)
        _checked(user)
        user.save()
        journal.record("user.registered", person=user, actor=user)
    return user


def locked(user: User) -> User:
    """The row as it is now, nobody else's until the transaction ends: what was read before may have been taken away since."""
    return User.objects.select_for_update(no_key=True).get(pk=user.pk)


def change(user: User, by: User, wanted: dict[str, Any]) -> User:
    """Change a person: role, is_active, groups, details. Raises Problem 400, 403, 409 `last_admin`, `yourself`."""
    with role_changes.changing():
        user = locked(user)
        giving.require_may_manage(by, user)
        require_another(by, user, wanted)
        require_not_forgotten(user)
        was_active = user.is_active
        if "role" in wanted:
            _give_role(user, wanted["role"], by)
        for name in CHANGEABLE:
            setattr(user, name, wanted.get(name, getattr(user, name)))
        if "password" in wanted:
            set_password(user, wanted["password"])
        _checked(user)
        user.save()
        if "groups" in wanted:
            _join(user, wanted["groups"], by)
        if "password" in wanted:
            passwords.laid_down(user)
        settle(user, was_active=was_active)
    return user


def settle(user: User, *, was_active: bool) -> None:
    """What follows from a change of a person that is saved: who is deactivated is out, and who comes back begins anew."""
    if not (user.is_active and was_active):
        sessions.end_all(user)
    permissions.rights_changed(user)


def require_another(by: User, user: User, wanted: dict[str, Any]) -> None:
    """What nobody does to themselves: their own password is changed with the old one, on the account page or `auth/password/`."""
    if by.pk == user.pk and wanted.get("is_active") is False:
        raise Problem(409, "yourself", "You cannot deactivate yourself; somebody else must.")
    if by.pk == user.pk and "password" in wanted:
        raise Problem(409, "yourself", "Change your own password with the old one: auth/password/.")


def require_not_forgotten(user: User) -> None:
    """Raises Problem 409 `forgotten`."""
    if is_forgotten(user):
        raise Problem(409, "forgotten", STAYS_FORGOTTEN)


def is_forgotten(user: User) -> bool:
    return user.username.startswith(names.FORGOTTEN)


def change_details(user: User, by: User, wanted: dict[str, Any]) -> User:
    """A person's own name and address, by themselves or by whoever manages them. Raises Problem 400, 403, 409 `forgotten`."""
    with transaction.atomic():
        user = locked(user)
        if user.pk != by.pk:
            giving.require_may_manage(by, user)
        require_not_forgotten(user)
        for name in DETAILS:
            setattr(user, name, wanted.get(name, getattr(user, name)))
        _checked(user)
        user.save(update_fields=DETAILS)
    return user


def set_password(user: User, password: str) -> None:
    """Raises Problem 400 in the words of the rules. The caller saves."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Problem(400, "invalid", error.messages[0], errors={"password": error.messages}) from error
    user.set_password(password)


def forget(user: User, by: User, *, reason: str) -> None:
    """Delete a person's data and keep the record: their rows stay, under a name that tells nothing. Raises Problem 403, 409."""
    if by.pk == user.pk:
        raise Problem(409, "yourself", "You cannot delete yourself; somebody else must.")
    with role_changes.changing():
        user = locked(user)
        giving.require_may_manage(by, user)
        old, new = user.username, f"{names.FORGOTTEN}{user.pk}"
        for given in Grant.objects.filter(user=user):
            permissions.withdraw(given)
        sessions.end_all(user)
        WsTicket.objects.filter(user=user).delete()
        second_factor.remove(user)
        user.groups.clear()
        user.username, user.email, user.first_name, user.last_name = new, "", "", ""
        user.is_active, user.role_id = False, roles.GUEST
        user.set_unusable_password()
        user.save()
        JournalOrigin.objects.filter(person_id=user.pk).delete()  # where they acted from; the rows keep their number
        # The admin's list of recent actions names whom they were about.
        told = ContentType.objects.get_for_model(User)
        LogEntry.objects.filter(content_type=told, object_id=str(user.pk)).update(object_repr=new)
        for forget_name in also_forget:
            forget_name(old, new)
        journal.record("user.forgotten", person=user, reason=reason)
        permissions.rights_changed(user)


def _give_role(user: User, name: str, by: User) -> None:
    role = Role.objects.filter(pk=name).first()
    if role is None:
        words = f"There is no role {name!r}; there are {', '.join(Role.objects.values_list('pk', flat=True))}."
        raise Problem(400, "invalid", words, errors={"role": [words]})
    if user.role_id != role.pk or user._state.adding:
        giving.require_may_grant(by, role)
    user.role = role


def _checked(user: User) -> None:
    """Raises Problem 400 in the words of the model."""
    try:
        user.full_clean(exclude=["password"])
    except ValidationError as error:
        errors = {name: [str(one) for one in words] for name, words in error.message_dict.items()}
        raise Problem(400, "invalid", "; ".join(errors[next(iter(errors))]), errors=errors) from error


def require_may_add(by: User, groups: list[Group]) -> None:
    """Whoever brings somebody into a group holds what its grants give. Raises Problem 403 `beyond_own_rights`."""
    permissions.require_may_give(by, giving.promised(Grant.objects.filter(group__in=groups)))


def _join(user: User, names: list[str], by: User) -> None:
    found = list(Group.objects.filter(name__in=names))
    if missing := sorted(set(names) - {group.name for group in found}):
        words = f"There is no group {missing[0]!r}."
        raise Problem(400, "invalid", words, errors={"groups": [words]})
    require_may_add(by, [group for group in found if not user.groups.filter(pk=group.pk).exists()])
    before = sorted(user.groups.values_list("name", flat=True))
    if before != sorted(names):
        user.groups.set(found)
        journal.record("user.groups_changed", person=user, data={"groups": [before, sorted(names)]})
