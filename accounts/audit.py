"""Before and after of configuration: django-auditlog's diffs flow into the journal through its one signal."""

import getpass
import os
from typing import Any

from auditlog.registry import auditlog
from auditlog.signals import post_log
from django.contrib.auth import signals
from django.contrib.auth.models import Group
from django.db import models, transaction
from django.http import HttpRequest

from accounts import context, journal, permissions, refusals, sessions
from accounts.models import Grant, Role, SignIn, User

VERBS = {0: "created", 1: "changed", 2: "deleted"}
PERSONAL = frozenset({"username", "email", "first_name", "last_name"})


def connect() -> None:
    """Register accounts' own models and the receiver; called once, when the app is ready."""
    auditlog.register(User, exclude_fields=["last_login", "password", "links_void"])
    auditlog.register(Role, exclude_fields=["asks_factor"])  # it follows from mfa_required
    auditlog.register(Grant)
    auditlog.register(Group)
    post_log.connect(_to_journal, dispatch_uid="accounts.audit")
    signals.user_logged_in.connect(_signed_in, dispatch_uid="accounts.signed_in")
    signals.user_logged_out.connect(_signed_out, dispatch_uid="accounts.signed_out")
    signals.user_login_failed.connect(_sign_in_failed, dispatch_uid="accounts.sign_in_failed")


def _to_journal(
    *, instance: models.Model, action: int, changes: dict[str, Any] | None, log_entry: Any = None, **_: Any
) -> None:
    """The journal is the record; auditlog's own row, which holds names and could not be forgotten, is not kept."""
    if log_entry is not None and log_entry.pk:
        log_entry.delete()
    if not changes or action not in VERBS:
        return
    name = instance._meta.model_name or ""
    person = instance if isinstance(instance, User) else instance.user if isinstance(instance, Grant) else None
    journal.record(
        f"{name}.{VERBS[action]}",
        "" if person is instance else str(getattr(instance, "slug", None) or instance),
        person=person,
        robot=_robot(instance),
        data={"changes": _told(instance, changes)},
    )
    if action and person is instance and "password_changed_at" in changes and not context.current().request_id:
        # Nobody is signed in at a terminal: who owns the process is all there is to know.
        journal.record("auth.password_set", person=person, data={"os_user": _os_user()})


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may not know its user's name
        return str(os.getuid())


def _robot(instance: models.Model) -> str:
    """The slug of the robot that a row about this is of."""
    if isinstance(instance, Grant):
        return instance.on_robot
    return str(getattr(instance, "slug", "")) if instance._meta.model_name == "robot" else ""


def _told(instance: models.Model, changes: dict[str, Any]) -> dict[str, Any]:
    """Before and after of the model's own fields. Of what tells who a person is, only that it was changed: rows stay for ever."""
    own = {field.name for field in instance._meta.concrete_fields if field.related_model is not User}
    personal = PERSONAL if isinstance(instance, User) else frozenset()
    return {name: "changed" if name in personal else pair for name, pair in changes.items() if name in own}


def _signed_in(*, user: User, request: HttpRequest, **_: Any) -> None:
    with transaction.atomic():
        sessions.begun(request, user)
        journal.record("auth.signed_in", person=user, actor=user)


def _signed_out(*, user: User | None, request: HttpRequest, **_: Any) -> None:
    """Django tells before it ends the session; a socket that asked again between the two would find it whole."""
    if user is not None:
        with transaction.atomic():
            SignIn.objects.filter(session_key=request.session.session_key).delete()
            request.session.flush()
            journal.record("auth.signed_out", person=user, actor=user)
            permissions.rights_changed(user)


def _sign_in_failed(*, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    refusals.sign_in_failed(str(credentials.get("username", "")))
