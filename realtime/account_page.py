"""`/account/`: who one is, the password, the second factor, and where one is signed in. What it does goes over the API."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from accounts import entry, permissions
from firmware.models import Robot
from realtime.views import frame


@login_required
@never_cache
def account(request: HttpRequest) -> HttpResponse:
    """The one page that is open to who has to change a password, or set up a second factor, first."""
    context = frame(request, "Your account")
    first = entry.duty(context["person"])
    context["boot"]["duty"] = first.code if first else ""
    context["boot"]["robots"] = permissions.visible(context["person"], Robot.objects.filter(retired_at=None)).exists()
    return render(request, "realtime/account.html", context | {"duty": first})
