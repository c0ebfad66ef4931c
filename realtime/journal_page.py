"""`/journal/` and `/journal/chain/<request id>/`: the record, live, for auditors. What they show comes over the API."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from accounts import permissions
from firmware.models import Robot
from realtime.snapshot import last_event_id
from realtime.views import frame


@login_required
@never_cache
def journal(request: HttpRequest) -> HttpResponse:
    """Search in the record, see it grow, and see whether it is whole. Needs `journal.view`."""
    context = frame(request, "Journal")
    permissions.require(context["person"], "journal.view")
    visible = permissions.visible(context["person"], Robot.objects.order_by("slug"))
    context["boot"]["robots"] = visible.filter(retired_at=None).exists()
    context["boot"]["last_event"] = last_event_id()
    return render(request, "realtime/journal.html", context | {"slugs": visible.values_list("slug", flat=True)})


@login_required
@never_cache
def chain(request: HttpRequest, request_id: str) -> HttpResponse:
    """Everything that one request led to, as a sequence between person, robotctl and robot. Needs `journal.view`."""
    context = frame(request, "Chain of a request")
    permissions.require(context["person"], "journal.view")
    visible = permissions.visible(context["person"], Robot.objects.filter(retired_at=None))
    context["boot"] |= {"robots": visible.exists(), "request_id": request_id}
    return render(request, "realtime/chain.html", context | {"request_id": request_id})
