"""Getting in: user name, password, and the code of a second factor. One way for the API and the page."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from accounts import lockout, refusals, second_factor
from accounts.models import User
from robotctl.problems import Problem

LETS_IN = ("password", "is_active", "links_void")  # each end of everything raises the last; see sessions.end_all


class Refused(Problem):
    """Not let in. 401, or 429 with `wait` (s) during a lockout."""

    auth_header = "Token"  # DRF makes WWW-Authenticate of it, and Retry-After of `wait`

    def __init__(self, code: str, detail: str, *, wait: int = 0) -> None:
        super().__init__(429 if wait else 401, code, detail)
        if wait:
            self.wait = wait


@contextmanager
def _turn(name: str) -> Iterator[None]:
    """Raises Refused during a lockout: in the same words whether or not somebody has that name."""
    try:
        with lockout.turn(name):
            yield
    except lockout.LockedOut as locked:
        wait = locked.wait_s
        refusals.sign_in_failed(name, code="locked_out")
        raise Refused("locked_out", f"Too many failed attempts. Try again in {_words(wait)}.", wait=wait) from locked


def enter(request: HttpRequest | Request, *, username: str, password: str, otp: str = "") -> User:
    """Who signs in with these. Raises Refused; a wrong password and a wrong code count for the lockout."""
    with _turn(username):
        user = authenticate(request, username=username, password=password)
        if not isinstance(user, User):
            raise Refused("authentication_failed", "Wrong user name or password.")
        if second_factor.is_enabled(user):
            if not otp:
                raise Refused("otp_required", "Give the code of your second factor as well.")
            require_code(request, user, otp)
        return user


def require_code(request: HttpRequest | Request, user: User, otp: str) -> None:
    """Raises Refused when `otp` is no code of `user`'s second factor, or was used before."""
    if not second_factor.verify(user, otp):
        lockout.failed(request, user.username)
        raise Refused("otp_wrong", "This code is wrong, or was used before. Wait for the next one.")


def password_is(request: HttpRequest | Request, user: User, password: str) -> bool:
    """Whether it is `user`'s password; for who is signed in. Guesses count, and are locked out (raises Refused)."""
    with _turn(user.username):
        if user.check_password(password):
            return True
        lockout.failed(request, user.username)
        return False


@contextmanager
def letting_in(user: User) -> Iterator[None]:
    """The transaction that lets `user` in: nothing has ended what was compared meanwhile, and nothing ends it before this is done.

    Raises Refused, which is recorded, when the password was changed, or the person deactivated or signed out everywhere.
    """
    try:
        with transaction.atomic():
            _still(user)
            yield
    except Refused as refused:
        refusals.sign_in_failed(user.username, code=refused.code)
        raise


def _still(user: User) -> None:
    held = User.objects.select_for_update(no_key=True).values_list(*LETS_IN)
    if held.get(pk=user.pk) != tuple(getattr(user, name) for name in LETS_IN):
        raise Refused("changed_meanwhile", "Your account was changed at this moment. Sign in again.")


def _words(seconds: int) -> str:
    return f"{seconds} seconds" if seconds < 120 else f"{(seconds + 59) // 60} minutes"


class SignInForm(AuthenticationForm):
    """The page's form. `refused` tells why it was not let in."""

    otp = forms.CharField(required=False, max_length=16)
    refused: Refused | None = None

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        try:
            if given.get("username") and given.get("password"):
                self.user_cache = enter(
                    self.request or HttpRequest(),
                    username=given["username"],
                    password=given["password"],
                    otp=given.get("otp", ""),
                )
        except Refused as refused:
            self.refused = refused
            raise ValidationError(str(refused.detail), code=refused.code) from refused
        return given


class SignInPage(LoginView):
    template_name = "sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True
    extra_context = {"registration_open": settings.REGISTRATION}

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        try:
            user = form.get_user()
            assert isinstance(user, User)
            with letting_in(user):
                return super().form_valid(form)
        except Refused as refused:
            form.add_error(None, str(refused.detail))
            return self.form_invalid(form)

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_invalid(form)
        wait = getattr(form.refused, "wait", 0) if isinstance(form, SignInForm) else 0
        if wait:
            response.status_code = 429
            response["Retry-After"] = str(wait)
        return response
