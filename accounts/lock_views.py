"""`auth/activity/` and `auth/unlock/`: the lock of a browser session that nobody touches."""

from typing import Any

from django.conf import settings
from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import journal, lock, lockout, permissions
from accounts.authentication import by_token
from accounts.models import User
from robotctl.strict import StrictSerializer

FAILURES, MOST_FAILURES = "unlock_failures", 10


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
    """Go on in a locked browser session: `{password}` of whoever is signed in. A wrong one counts as a failed sign-in."""

    throttle_scope = "sign-in"
    while_locked = ("POST",)

    @extend_schema(request=UnlockRequest, responses=ActivityReply)
    def post(self, request: Request) -> Response:
        assert isinstance(request.user, User)
        given = UnlockRequest(data=request.data)
        given.is_valid(raise_exception=True)
        password = given.validated_data["password"]
        if not request.user.check_password(password):
            _count_failure(request)
            raise serializers.ValidationError({"password": "This is not your password."})
        if not by_token(request):
            with transaction.atomic():
                lock.touch(request._request.session, at_once=True)
                journal.record("auth.session_unlocked", person=request.user)
        return Response(_shape(request))


def _count_failure(request: Request) -> None:
    """A stranger's lockout of the name keeps nobody out of their own console; whoever guesses here is out after some guesses."""
    assert isinstance(request.user, User)
    lockout.failed(request, request.user.username)
    session = request._request.session
    session[FAILURES] = session.get(FAILURES, 0) + 1
    if session[FAILURES] >= MOST_FAILURES:
        with transaction.atomic():
            session.flush()
            journal.record("auth.signed_out", person=request.user, reason="too many wrong passwords on a locked page")
            permissions.rights_changed(request.user)
