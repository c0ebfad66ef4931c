"""A person's page in the admin beside the form: how they get in, where they are in, and what they did lately."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from accounts import activity, giving, links, lockout, permissions, second_factor, sessions
from accounts.models import User
from accounts.rights_admin import person, say_refused
from robotctl.problems import Problem


def page(model_admin: "ModelAdmin[User]", request: HttpRequest, object_id: str) -> HttpResponse:
    """Show it; on POST do what `do` names. Needs `users.manage`, and all that the person holds."""
    permissions.require(request.user, "users.manage")
    about = model_admin.get_object(request, object_id)
    if about is None:
        raise Http404
    link: dict[str, Any] | None = None
    try:
        giving.require_may_manage(person(request), about)
        if request.method == "POST":
            link = _do(request, about)
    except Problem as problem:
        say_refused(request, problem, f"{about}:")
        if request.method != "POST":
            return HttpResponseRedirect("../")
    if request.method == "POST" and link is None:
        return HttpResponseRedirect(request.path)
    context = model_admin.admin_site.each_context(request) | shown(about, request)
    response = TemplateResponse(
        request, "admin/accounts/user/way_in.html", context | {"opts": User._meta, "link": link}
    )
    response["Cache-Control"] = "no-store"
    return response


def _do(request: HttpRequest, about: User) -> dict[str, Any] | None:
    """The link, if that was asked for: it is shown this once. Raises Problem."""
    what = request.POST.get("do", "")
    if what == "link":
        giving.require_another(person(request), about)
        return links.issue(about, request.build_absolute_uri("/"))
    doing: dict[str, Callable[[HttpRequest, User], str]] = {
        "sign_out": _sign_out,
        "unlock": _unlock,
        "factor": _remove_factor,
    }
    if what not in doing:
        raise Problem(400, "invalid", "Nothing was asked for.")
    messages.success(request, doing[what](request, about))
    return None


def _sign_out(request: HttpRequest, about: User) -> str:
    ended = sessions.sign_out(about)
    return f"{about} is signed out: {ended['sessions']} browser(s) and {ended['tokens']} token(s) ended."


def _unlock(request: HttpRequest, about: User) -> str:
    giving.require_another(person(request), about)  # else an open page would try passwords for ever
    lockout.unlock(about)
    return f"{about} may try again."


def _remove_factor(request: HttpRequest, about: User) -> str:
    giving.require_another(person(request), about)
    reason = request.POST.get("reason", "").strip()
    if not reason:
        raise Problem(400, "invalid", "Say why: removing a second factor needs a reason.")
    if not second_factor.remove(about, reason=reason[:500]):
        raise Problem(409, "no_factor", "There is no second factor.")
    return f"{about} signs in with the password alone."


def shown(about: User, request: HttpRequest) -> dict[str, Any]:
    """What the page says of a person."""
    lately = activity.lately(about)
    most = max((act["count"] for act in lately["acts"]), default=1)
    return {
        "title": f"{about}: way in",
        "about": about,
        "oneself": about.pk == person(request).pk,
        "sessions": [sessions.shape(row, request.session.session_key or "") for row in sessions.of(about)],
        "tokens": about.auth_token_set.count(),
        "factor_since": second_factor.enabled_since(about),
        "codes_left": second_factor.recovery_codes_left(about),
        "lately": lately,
        "acts": [act | {"share": round(100 * act["count"] / most)} for act in lately["acts"][:25]],
        "more": max(len(lately["acts"]) - 25, 0),
    }
