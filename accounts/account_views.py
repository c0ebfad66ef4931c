"""`auth/mfa/…`, `auth/sessions/…`, `auth/password/`: what a person does about their own way in."""

from typing import Any

import segno
from django.contrib.auth import logout
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import journal, passwords, permissions, second_factor, sessions, sign_in
from accounts.account_serializers import (
    Ended,
    FactorBegin,
    FactorCode,
    FactorOff,
    FactorSecret,
    FactorStatus,
    RecoveryCodes,
    SessionRow,
)
from accounts.models import ApiToken, User
from accounts.serializers import PasswordSerializer
from robotctl.problems import Problem

WRONG_PASSWORD = "This is not your current password."  # noqa: S105 - words
WRONG_CODE = "This code is wrong, or was used before. Wait for the next one."


class Password(APIView):
    """Change one's own password. Ends the person's other sessions, API tokens and sockets."""

    @extend_schema(request=PasswordSerializer, responses={200: None})
    def post(self, request: Request) -> Response:
        user = _person(request)
        given = PasswordSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        old, new = given.validated_data["old_password"], given.validated_data["new_password"]
        if not sign_in.password_is(request, user, old):
            raise serializers.ValidationError({"old_password": WRONG_PASSWORD})
        if new == old:
            raise serializers.ValidationError({"new_password": "This is the password that you have now."})
        try:
            validate_password(new, user)
        except ValidationError as error:
            raise serializers.ValidationError({"new_password": error.messages}) from error
        with sign_in.letting_in(user):  # it may have been set by somebody else while the old one was compared
            if isinstance(request.auth, ApiToken):
                passwords.change(user, new, keep_token=request.auth.digest)
            else:
                passwords.change(user, new, request=request._request)
        return Response({"detail": "Password changed. You are signed out everywhere else."})


class Factor(APIView):
    """The second factor. POST, with the password, begins setting one up; it counts when `confirm/` gets a code. DELETE turns it off."""

    @extend_schema(responses=FactorStatus)
    def get(self, request: Request) -> Response:
        user = _person(request)
        since = second_factor.enabled_since(user)
        body = {
            "enabled": since is not None,
            "since": journal.iso(since),
            "required": user.role.asks_factor,
            "recovery_codes_left": second_factor.recovery_codes_left(user),
        }
        return Response(body)

    @extend_schema(request=FactorBegin, responses=FactorSecret)
    def post(self, request: Request) -> Response:
        user = _person(request)
        _require_off(user)
        given = FactorBegin(data=request.data)
        given.is_valid(raise_exception=True)
        _require_password(request, user, given.validated_data["password"])
        device = second_factor.begin(user)
        drawn = segno.make(device.config_url, error="m").svg_inline(scale=4, dark="#000", light="#fff")
        return Response({"secret": device.secret, "uri": device.config_url, "qr_svg": drawn})

    @extend_schema(request=FactorOff, responses={200: FactorStatus})
    def delete(self, request: Request) -> Response:
        user = _person(request)
        given = FactorOff(data=request.data)
        given.is_valid(raise_exception=True)
        _require_password(request, user, given.validated_data["password"])
        try:
            sign_in.require_code(request, user, given.validated_data["otp"])
        except sign_in.Refused as refused:
            raise serializers.ValidationError({"otp": WRONG_CODE}) from refused
        second_factor.remove(user)
        return self.get(request)


class FactorConfirm(APIView):
    """A code shows that the app is set up right. Answers with the recovery codes: this once.

    Ends the person's other sessions, API tokens and sockets: they were let in without it.
    """

    @extend_schema(request=FactorCode, responses=RecoveryCodes)
    def post(self, request: Request) -> Response:
        user = _person(request)
        _require_off(user)
        given = FactorCode(data=request.data)
        given.is_valid(raise_exception=True)
        kept = request.auth.digest if isinstance(request.auth, ApiToken) else ""
        done = second_factor.confirm(
            user, given.validated_data["otp"], keep_session=_session_key(request), keep_token=kept
        )
        if done is None:
            raise serializers.ValidationError(
                {"otp": "This is not the code that your app should show. Begin anew if need be."}
            )
        return Response({"recovery_codes": done.recovery_codes, "ended": done.ended})


class Sessions(APIView):
    """The browsers in which one is signed in."""

    @extend_schema(responses=SessionRow(many=True))
    def get(self, request: Request) -> Response:
        return Response({"results": listed(_person(request), request)})


class SessionDetail(APIView):
    """End one of one's own sessions."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        user = _person(request)
        row = sessions.of(user).filter(pk=pk)
        mine = list(row.values_list("session_key", flat=True))
        if not mine:
            raise Http404
        if mine == [_session_key(request)]:
            logout(request._request)  # its signal writes the row
            return Response(status=status.HTTP_204_NO_CONTENT)
        with transaction.atomic():
            sessions.end(row)
            journal.record("auth.session_ended", person=user)
            permissions.rights_changed(user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class SignOutEverywhere(APIView):
    """End all of one's own sessions, API tokens and sockets, this one too."""

    @extend_schema(request=None, responses=Ended)
    def post(self, request: Request) -> Response:
        ended = sessions.sign_out(_person(request))
        if not isinstance(request.auth, ApiToken):
            request._request.session.flush()  # else it would be saved again with the answer
        return Response(ended)


def listed(user: User, request: Request) -> list[dict[str, Any]]:
    return [sessions.shape(row, _session_key(request)) for row in sessions.of(user)]


def _session_key(request: Request) -> str:
    return "" if isinstance(request.auth, ApiToken) else request._request.session.session_key or ""


def _person(request: Request) -> User:
    """Whose account it is. A token that holds a part of its person's rights is no way to the rest of them."""
    assert isinstance(request.user, User)
    token = request.auth
    if isinstance(token, ApiToken) and not token.by_sign_in:
        raise PermissionDenied("A token that was made does nothing about the account.")
    return request.user


def _require_password(request: Request, user: User, password: str) -> None:
    """Raises 400 when it is not the person's password; guesses count for the lockout."""
    if not sign_in.password_is(request, user, password):
        raise serializers.ValidationError({"password": WRONG_PASSWORD})


def _require_off(user: User) -> None:
    if second_factor.is_enabled(user):
        raise Problem(409, "mfa_enabled", "A second factor is set up. Turn it off first to set up another.")
