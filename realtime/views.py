"""The operator's pages. They carry who one is and where things are; everything that changes comes over the socket."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from accounts import journal, permissions, refusals
from accounts.models import User
from firmware import profile, state
from firmware.language.actions import Command as CommandSpec
from firmware.language.actions import Param
from firmware.models import Command, Robot, Site
from robotctl.problems import TITLES

CODES = {400: "bad_request", 403: "permission_denied", 404: "not_found", 500: "internal_error"}
LAST_COMMANDS = 10
LAST_EVENTS = 50
IN_SERVICE = Robot.objects.filter(retired_at=None).select_related("site", "state")


def frame(request: HttpRequest, title: str) -> dict[str, Any]:
    """What every page shows: who, and which buttons belong there."""
    assert isinstance(request.user, User)
    rights = permissions.rights(request.user)
    return {
        "title": title,
        "person": request.user,
        "rights": rights,
        "boot": {"user": request.user.username, "rights": sorted(rights), "server_time": journal.iso(timezone.now())},
    }


@login_required
@never_cache
def fleet(request: HttpRequest) -> HttpResponse:
    """All robots one may see, live; a guest sees how many there are in which mode."""
    context = frame(request, "Fleet")
    # all(): a queryset that lives as long as the process would keep the rows of its first use.
    robots = list(permissions.visible(context["person"], IN_SERVICE.all()))
    now = timezone.now()
    context["boot"]["robots"] = [state.tile(state.document(robot, robot.state, now)) for robot in robots]
    context["boot"]["sites"] = [
        {"name": site.name, "rail_m": [site.rail_start_m, site.rail_end_m]} for site in Site.objects.all()
    ]
    if not robots:
        modes = [
            state.mode(robot, robot.state, profile.load_or_unusable(robot.profile), now) for robot in IN_SERVICE.all()
        ]
        context["overview"] = {"total": len(modes), "modes": {mode: modes.count(mode) for mode in sorted(set(modes))}}
    return render(request, "realtime/fleet.html", context)


@login_required
@never_cache
def robot(request: HttpRequest, slug: str) -> HttpResponse:
    """One robot: its truth, the actions, its story."""
    shown = get_object_or_404(IN_SERVICE, slug=slug)
    context = frame(request, shown.name)
    permissions.require(context["person"], "robot.view", shown)
    spec = profile.load_or_unusable(shown.profile)
    commands = Command.objects.filter(robot=shown).select_related("robot", "requested_by")[:LAST_COMMANDS]
    story = list(journal.of_robot(slug)[:LAST_EVENTS])
    context |= {"robot": shown, "profile": spec}
    context["boot"] |= {
        "robot": state.document(shown, shown.state, timezone.now()),
        "rights": sorted(permissions.rights(context["person"], shown)),
        "kind": spec.about.title,
        "fields": {
            name: {"title": field.title or name, "unit": field.unit}
            for name, field in spec.fields.items()
            if field.shown
        },
        "commands": {
            name: {
                "title": command.title or name,
                "class": command.kind,
                "params": _params(command.params),
                "right": command.right,
                "hold": _hold(command),
                "in_sequence": _in_sequence(command),
            }
            for name, command in spec.commands.items()
        },
        "last_commands": [state.command_shape(command) for command in commands],
        "story": journal.told(story),
        "story_page": LAST_EVENTS,
        "story_to": max((row.pk for row in story), default=None),
        "audits": "journal.view" in context["rights"],
    }
    return render(request, "realtime/robot.html", context)


def _hold(command: CommandSpec) -> dict[str, Any] | None:
    """What the two buttons of a hold-to-run need."""
    if command.hold is None:
        return None
    return {"speed": command.hold.speed, "example": command.params[command.hold.speed].example}


def _in_sequence(command: CommandSpec) -> bool:
    """Whether the page offers it as a step: nobody need hold or approve it, and its end is seen."""
    seen = bool(command.confirm or command.job)
    return seen and command.kind != "stop" and not (command.hold or command.approval)


def _params(params: dict[str, Param]) -> list[dict[str, Any]]:
    """The form of a command: one entry for each parameter."""
    return [
        {
            "name": name,
            "title": param.title or name,
            "type": param.type,
            "unit": param.unit,
            "minimum": param.minimum,
            "maximum": param.maximum,
            "default": param.default,
            "required": param.required and param.default is None,
            "choices": param.choices,
        }
        for name, param in params.items()
    ]


def problem_page(status: int) -> Any:
    """A page for what went wrong, that says what to do."""

    def page(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
        if request.path.startswith("/api/"):
            title = TITLES.get(status, "Error")
            detail = "There is nothing here that you may see." if status == 404 else f"{title}."
            body = {"type": f"about:blank#{CODES[status]}", "title": title, "status": status, "detail": detail}
            return JsonResponse(body | {"code": CODES[status]}, status=status, content_type="application/problem+json")
        return render(
            request,
            "problem.html",
            {"status": status, "detail": str(exception) if status == 403 else ""},
            status=status,
        )

    return page


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that does not come from our own pages, or from one that is too old. Refused like any other access."""
    refused = PermissionDenied("This form is too old, or not from here. Load the page again.")
    refusals.note(request, refused)
    answer: HttpResponse = problem_page(403)(request, refused)
    return answer
