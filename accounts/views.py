"""`auth/…`: signing in and out, tokens, and tickets."""

from datetime import timedelta
from typing import Any

from django.contrib.auth import logout
from django.db import transaction
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import context, journal, lockout, permissions, sign_in
from accounts.models import ApiToken, User, WsTicket
from accounts.serializers import (
    LoginSerializer,
    NewToken,
    TicketReply,
    TokenReply,
    TokenRequest,
    TokenRow,
    UserSerializer,
)


class Login(APIView):
    """`{username, password, otp?}` → `{token, expires_at, user}`; the token goes into `Authorization: Token …`."""

    permission_classes = [AllowAny]
    authentication_classes: list[Any] = []
    throttle_scope = "sign-in"

    @extend_schema(request=LoginSerializer, responses=TokenReply)
    def post(self, request: Request) -> Response:
        given = LoginSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        user = sign_in.enter(request, **given.validated_data)
        context.set_actor(user.pk, user.username)
        with sign_in.letting_in(user):
            lockout.forget(user.username)
            name = request.headers.get("User-Agent", "")[:80]
            made, token = ApiToken.objects.create(user, name=name, may_stop=True, by_sign_in=True)  # a person is there
            journal.record("auth.token_issued", person=user, actor=user)
        return Response({"token": token, "expires_at": journal.iso(made.expiry), "user": UserSerializer(user).data})

    def get_authenticate_header(self, request: Request) -> str:
        return "Token"  # so that DRF answers 401, not 403


class Logout(APIView):
    """End what the request was signed in with: this token, or this browser session."""

    throttle_classes = ()
    while_locked = ("POST",)

    @extend_schema(request=None, responses={200: None})
    def post(self, request: Request) -> Response:
        assert isinstance(request.user, User)
        with transaction.atomic():
            if isinstance(request.auth, ApiToken):
                request.auth.delete()
                journal.record("auth.signed_out", person=request.user)
                permissions.rights_changed(request.user)
            else:
                logout(request._request)  # its signal writes the row
        return Response({"detail": "Signed out."})


class Me(APIView):
    """Who is signed in, and what the role allows."""

    while_locked = ("GET",)

    @extend_schema(responses=UserSerializer)
    def get(self, request: Request) -> Response:
        assert isinstance(request.user, User)
        return Response(UserSerializer(request.user).data)


class SocketTicket(APIView):
    """A single-use ticket that opens `/ws/?ticket=…` within 30 s."""

    throttle_scope = "ticket"
    while_locked = ("POST",)
    counts_as_activity = False

    @extend_schema(request=None, responses=TicketReply)
    def post(self, request: Request) -> Response:
        assert isinstance(request.user, User)
        token = request.auth if isinstance(request.auth, ApiToken) else None
        session_key = "" if token else request._request.session.session_key or ""
        ticket, expires_at = WsTicket.issue(request.user, token=token, session_key=session_key)
        return Response({"ticket": ticket, "expires_at": journal.iso(expires_at)})


def _require_sign_in(request: Request) -> None:
    """A token that was made looks after no other: only one that somebody has just given their password for does."""
    if isinstance(request.auth, ApiToken) and not request.auth.by_sign_in:
        raise exceptions.PermissionDenied("A token that was made does nothing about the account.")


class Tokens(APIView):
    """One's own API tokens. POST `{name, expires_in_s?, scopes?, actions?, robots?}` makes one; it is shown this once.

    Only one with the scope `stop` may stop robots. `actions` and `robots` (slugs) leave it that part of one's rights only.
    """

    @extend_schema(responses=TokenRow(many=True))
    def get(self, request: Request) -> Response:
        _require_sign_in(request)
        return Response(
            {"results": TokenRow(ApiToken.objects.filter(user=request.user).order_by("-created"), many=True).data}
        )

    @extend_schema(request=TokenRequest, responses={201: NewToken})
    def post(self, request: Request) -> Response:
        assert isinstance(request.user, User)
        _require_sign_in(request)
        given = TokenRequest(data=request.data, context={"user": request.user})
        given.is_valid(raise_exception=True)
        name, lifetime = given.validated_data["name"], timedelta(seconds=given.validated_data["expires_in_s"])
        with transaction.atomic():
            may_stop = "stop" in given.validated_data["scopes"]
            limits = {key: given.validated_data[key] for key in ("actions", "robots")}
            made, token = ApiToken.objects.create(request.user, expiry=lifetime, name=name, may_stop=may_stop, **limits)
            about = {"id": made.token_key, "name": name, "scopes": made.scopes} | limits
            journal.record("auth.token_issued", person=request.user, data=about)
        body = about | {"token": token, "expires_at": journal.iso(made.expiry)}
        return Response(body, status=status.HTTP_201_CREATED)


class TokenDetail(APIView):
    """Revoke one of one's own tokens."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, token_key: str) -> Response:
        assert isinstance(request.user, User)
        _require_sign_in(request)
        with transaction.atomic():
            if not ApiToken.objects.filter(user=request.user, token_key=token_key).delete()[0]:
                raise Http404
            journal.record("auth.token_revoked", person=request.user, data={"id": token_key})
            permissions.rights_changed(request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
