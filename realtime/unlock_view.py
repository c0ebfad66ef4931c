"""The page that a locked session is led to, from every page and from the admin."""

import re

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache

from accounts import lock, permissions
from realtime.views import IN_SERVICE, frame

ROBOT_PAGE = re.compile(r"/robots/(?P<slug>[-\w]+)/")


@login_required
@never_cache
def unlock(request: HttpRequest) -> HttpResponse:
    """Who is signed in, a field for the password, STOP; from a robot's page this robot's STOP as well."""
    back = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = "/"
    if not lock.is_locked(request.session):
        return redirect(back)
    context = frame(request, "Locked")
    visible = permissions.visible(context["person"], IN_SERVICE.all())
    context["boot"]["robots"] = sorted(visible.values_list("slug", flat=True))
    asked = ROBOT_PAGE.match(back)
    context |= {"next": back, "robot": visible.filter(slug=asked["slug"]).first() if asked else None}
    return render(request, "realtime/unlock.html", context)
