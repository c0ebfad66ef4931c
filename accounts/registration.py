"""Registering oneself: only where it is switched on (`ROBOTCTL_REGISTRATION=guest`), and then as a guest, who sees no robot."""

from typing import Any

from django import forms
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.generic import FormView
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import people, roles
from accounts.models import User
from robotctl.problems import Problem
from robotctl.strict import StrictSerializer


class RegistrationRequest(StrictSerializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=1024, trim_whitespace=False)
    email = serializers.EmailField(allow_blank=True, default="")


class RegistrationReply(serializers.Serializer[Any]):
    username = serializers.CharField()
    role = serializers.CharField()


def require_open() -> None:
    if not settings.REGISTRATION:
        raise Http404


def register(username: str, password: str, email: str) -> User:
    """A new guest. Raises Problem 400."""
    return people.register(username=username, password=password, email=email, role=roles.GUEST)


class Registration(APIView):
    """`{username, password, email?}` makes a guest. 404 unless the installation lets people register themselves."""

    permission_classes = [AllowAny]
    authentication_classes: list[Any] = []
    throttle_scope = "sign-in"

    @extend_schema(request=RegistrationRequest, responses={201: RegistrationReply})
    def post(self, request: Request) -> Response:
        require_open()
        given = RegistrationRequest(data=request.data)
        given.is_valid(raise_exception=True)
        made = register(**given.validated_data)
        return Response({"username": made.username, "role": made.role_id}, status=status.HTTP_201_CREATED)


class RegistrationForm(forms.Form):
    username = forms.CharField(label="User name", max_length=150)
    email = forms.EmailField(label="E-mail (optional)", required=False)
    password = forms.CharField(label="Password", max_length=1024, strip=False, widget=forms.PasswordInput)


class RegistrationPage(FormView[RegistrationForm]):
    template_name = "register.html"
    form_class = RegistrationForm

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        require_open()
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: RegistrationForm) -> HttpResponse:
        try:
            register(**form.cleaned_data)
        except Problem as problem:
            for name, words in (problem.errors or {"username": [str(problem.detail)]}).items():
                form.add_error(name if name in form.fields else None, words)
            return self.form_invalid(form)
        return HttpResponseRedirect("/sign-in/?set=1")
