"""Who is asking: API tokens (knox) and browser sessions."""

import math
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from knox.auth import TokenAuthentication as KnoxAuthentication
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from accounts import context, entry, lock
from accounts.models import ApiToken, User

USED_TO_THE = timedelta(minutes=1)


class TokenAuthentication(KnoxAuthentication):
    """`Authorization: Token …`. Tells the journal who it is."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        try:
            found: tuple[User, ApiToken] | None = super().authenticate(request)
        except UnicodeDecodeError as error:
            raise exceptions.AuthenticationFailed("Invalid token.") from error
        if found is not None:
            found[0].limits, found[0].signed_in_until = found[1].limits, found[1].expiry
            _used(found[1])
            context.set_actor(found[0].pk, found[0].get_username())
            entry.require_done(found[0], request.path)
        return found


def _used(token: ApiToken) -> None:
    """Remember when it was last used, to the minute; a database that is busy is not waited for by every request."""
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > USED_TO_THE:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)


class SessionAuthentication(authentication.SessionAuthentication):
    """The browser's session, with the CSRF check and the lock. Tells the journal who it is."""

    def authenticate(self, request: Request) -> tuple[User | AnonymousUser, Any] | None:
        found = super().authenticate(request)
        if found is not None:
            context.set_actor(found[0].pk, found[0].get_username())
            entry.require_done(found[0], request.path)
            lock.require_unlocked(request)
        return found


def by_token(request: Request) -> bool:
    """Whether the request was signed in with an API token rather than a browser session."""
    return isinstance(request.auth, ApiToken)


def may_not_stop(request: Request) -> bool:
    """Whether it was signed in with an API token that has not the scope `stop`."""
    return isinstance(request.auth, ApiToken) and not request.auth.may_stop


def session_user(session_key: str) -> User | None:
    """Who the browser session belongs to now; None when it has ended. For sockets, which outlive their request."""
    if not session_key:
        return None
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user_id, backend = session.get(SESSION_KEY), session.get(BACKEND_SESSION_KEY)
    if user_id is None or backend not in settings.AUTHENTICATION_BACKENDS:
        return None
    user = User.objects.select_related("role").filter(pk=user_id, is_active=True).first()
    if user is None or not constant_time_compare(session.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()):
        return None
    return user


def session_locks_in_s(session_key: str) -> float:
    """How long until the browser session is locked; infinite where there is none: API tokens are never locked."""
    if not session_key:
        return math.inf
    return lock.locks_in_s(import_module(settings.SESSION_ENGINE).SessionStore(session_key))


def token_user(digest: str) -> User | None:
    """Who an API token belongs to now; None when it is gone, has expired, or its person is not active."""
    token = (
        ApiToken.objects.select_related("user__role")
        .filter(digest=digest, expiry__gt=timezone.now(), user__is_active=True)
        .first()
    )
    if token is None:
        return None
    user: User = token.user
    user.limits, user.signed_in_until = token.limits, token.expiry
    return user
