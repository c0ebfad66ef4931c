"""`auth/activity/` and `auth/unlock/`: the lock of a browser session that nobody touches."""

from typing import Any

from django.conf import settings
from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import journal, lock, lockout, permissions, sessions
from accounts.authentication import by_token
from accounts.models import SignIn, User
from robotctl.strict import StrictSerializer


class UnlockRequest(StrictSerializer):
    password = serializers.CharField(max_length=1024, trim_whitespace=False)


class ActivityReply(serializers.Serializer[Any]):
    """`locks_in_s`: null for an API token, which is never locked."""

    locked = serializers.BooleanField()
    locks_in_s = serializers.FloatField(allow_null=True)
    locks_after_s = serializers.IntegerField()


def _shape(request: Request) -> dict[str, Any]:
    left_s = None if by_token(request) else max(0.0, lock.locks_in_s(request._request.session))
    return {
        "locked": left_s == 0.0,
        "locks_in_s": None if left_s is None else round(left_s, 1),
        "locks_after_s": settings.LOCK_AFTER_S,
    }


class Activity(APIView):
    """Whether this browser session is locked, and when it will be. POST says that somebody is there: a key, a pointer, a touch."""

    while_locked = ("GET",)

    @extend_schema(responses=ActivityReply)
    def get(self, request: Request) -> Response:
        return Response(_shape(request))

    @extend_schema(request=None, responses=ActivityReply)
    def post(self, request: Request) -> Response:
        return Response(_shape(request))  # the session was touched when it was read


class Unlock(APIView):
    """Go on in a locked browser session: `{password}` of whoever is signed in. A wrong one counts as a failed sign-in.

    The tenth wrong one ends the session, however many come at once. 403 with an API token, which is never locked.
    """

    throttle_scope = "sign-in"
    while_locked = ("POST",)

    @extend_schema(request=UnlockRequest, responses=ActivityReply)
    def post(self, request: Request) -> Response:
        assert isinstance(request.user, User)
        if by_token(request):
            raise PermissionDenied("An API token is never locked.")
        given = UnlockRequest(data=request.data)
        given.is_valid(raise_exception=True)
        if not sessions.may_guess(request._request.session):
            _end(request)
            raise NotAuthenticated
        if not request.user.check_password(given.validated_data["password"]):
            lockout.failed(request, request.user.username)
            if sessions.guesses_left(request._request.session) <= 0:
                _end(request)
            raise serializers.ValidationError({"password": "This is not your password."})
        with transaction.atomic():
            sessions.guessed_right(request._request.session)
            lock.touch(request._request.session, at_once=True)
            journal.record("auth.session_unlocked", person=request.user)
        return Response(_shape(request))


def _end(request: Request) -> None:
    """A stranger's lockout of the name keeps nobody out of their own console; whoever guesses here is out after some guesses."""
    assert isinstance(request.user, User)
    session = request._request.session
    with transaction.atomic():
        ended = sessions.end(SignIn.objects.filter(session_key=session.session_key))
        session.flush()
        if ended:  # of guesses at once, one tells
            journal.record("auth.signed_out", person=request.user, reason="too many wrong passwords on a locked page")
            permissions.rights_changed(request.user)
