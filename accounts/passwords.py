"""Setting a password: checked, and whoever is in with the old one is out."""

from django.contrib.auth import update_session_auth_hash
from django.db import transaction
from django.http import HttpRequest

from accounts import journal, sessions
from accounts.models import User

FIELDS = ["password", "password_changed_at", "must_change_password"]


def change(user: User, password: str, *, request: HttpRequest | None = None, keep_token: str = "") -> None:
    """`user` has chosen `password` (validated by the caller). Ends all else that they are signed in with.

    `request`: the browser session that goes on; `keep_token`: the digest of the API token that does.
    """
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=FIELDS)
        kept = _keep(request, user) if request is not None else ""
        ended = sessions.end_all(user, keep_session=kept, keep_token=keep_token)
        journal.record(
            "auth.password_changed", person=user, data={"sessions": ended["sessions"], "api": ended["tokens"]}
        )


def laid_down(user: User) -> None:
    """An administrator has just set `user`'s password: it is to be changed before anything else."""
    with transaction.atomic():
        user.must_change_password = True
        user.save(update_fields=FIELDS)
        sessions.end_all(user)
        journal.record("auth.password_set", person=user)


def _keep(request: HttpRequest, user: User) -> str:
    """The session of `request` goes on, under another key."""
    before = request.session.session_key or ""
    update_session_auth_hash(request, user)
    after = request.session.session_key or ""
    sessions.moved(before, after)
    return after
