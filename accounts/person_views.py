"""`users/{username}/…`: what an administrator does about somebody's way in. All of it needs `users.manage`."""

from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import giving, links, lockout, permissions, second_factor, sessions
from accounts.account_serializers import Ended, PasswordLink, Reason, SessionRow, Unlock
from accounts.account_views import listed
from accounts.models import User


class PersonUnlock(APIView):
    """End a lockout: `{address?}`. With an address the counts of all who were guessed at from there end, so all are asked about."""

    @extend_schema(request=Unlock, responses={200: None})
    def post(self, request: Request, username: str) -> Response:
        person = _outranked(request, username)
        given = Unlock(data=request.data)
        given.is_valid(raise_exception=True)
        address = given.validated_data.get("address", "")
        for other in lockout.guessed_at(address) if address else ():
            _require_outranked(request, other)
        lockout.unlock(person, address=address)
        return Response({"detail": f"{person.username} may try again."})


class PersonLink(APIView):
    """A link with which the person sets a password: once, until it expires. It is shown this once."""

    @extend_schema(request=None, responses=PasswordLink)
    def post(self, request: Request, username: str) -> Response:
        person = _outranked(request, username)
        return Response(links.issue(person, request.build_absolute_uri("/")))


class PersonFactor(APIView):
    """Remove a second factor that was lost: `{reason}`."""

    @extend_schema(request=Reason, responses={200: None})
    def delete(self, request: Request, username: str) -> Response:
        person = _outranked(request, username)
        given = Reason(data=request.data)
        given.is_valid(raise_exception=True)
        if not second_factor.remove(person, reason=given.validated_data["reason"]):
            raise Http404
        return Response({"detail": f"{person.username} signs in with the password alone."})


class PersonSessions(APIView):
    """The browsers in which the person is signed in."""

    @extend_schema(responses=SessionRow(many=True))
    def get(self, request: Request, username: str) -> Response:
        return Response({"results": listed(_outranked(request, username, oneself=True), request)})


class PersonSignOut(APIView):
    """End all sessions, API tokens and sockets of the person."""

    @extend_schema(request=None, responses=Ended)
    def post(self, request: Request, username: str) -> Response:
        return Response(sessions.sign_out(_outranked(request, username, oneself=True)))


def _outranked(request: Request, username: str, *, oneself: bool = False) -> User:
    """Somebody else whose rights the manager holds, too. Raises Problem 403 `beyond_own_rights`, 409 `yourself`."""
    permissions.require(request.user, "users.manage")
    person = get_object_or_404(User, username=username)
    _require_outranked(request, person, oneself=oneself)
    return person


def _require_outranked(request: Request, person: User, *, oneself: bool = False) -> None:
    assert isinstance(request.user, User)
    giving.require_may_manage(request.user, person)
    if not oneself:
        giving.require_another(request.user, person)
