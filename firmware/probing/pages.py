"""The admin's probe pages: of a registered robot, and of an address before anybody registers it. Nothing is sent before POST."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib.admin import ModelAdmin
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from firmware import profile
from firmware.models import Robot
from firmware.probing import network, registered
from firmware.probing.asking import Target
from firmware.probing.probe import probe, value_words
from firmware.probing.words import Report

TEMPLATE = "admin/firmware/robot/probe.html"
MARKS = {True: ("✓ ok", "success"), False: ("✗ failed", "danger"), None: ("· note", "default")}


def probe_robot(model_admin: "ModelAdmin[Robot]", request: HttpRequest, object_id: str) -> HttpResponse:
    """Probe a registered robot, with the credentials that are kept for it."""
    robot = model_admin.get_object(request, object_id)
    if robot is None:
        raise Http404
    report, problem = None, ""
    if request.method == "POST":
        problem = registered.not_now(robot)
        if not problem:
            report, problem = registered.look(robot)
    words = f"Reads {robot.base_url} once by its profile {robot.profile}, with the credentials kept for it. Sends no command."
    return _page(model_admin, request, f"Probe {robot.slug}", report, original=robot, words=words, problem=problem)


def probe_address(model_admin: "ModelAdmin[Robot]", request: HttpRequest) -> HttpResponse:
    """Probe an address that is no robot's yet."""
    form, report, register = AddressForm(request.POST or None), None, ""
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        report = probe(Target(given["url"], given["profile"] or None, given["credentials"], given["settings"]))
        registered.record(report.url, "", registered.told(report), ok=report.ok)
        if report.ok:
            wanted = urlencode({"base_url": report.url, "profile": report.profile or ""})
            register = f"{reverse('admin:firmware_robot_add')}?{wanted}"
    form.forget_secrets()
    words = "Reads the address once by a profile, or finds out which installed profile fits. Sends no command."
    return _page(model_admin, request, "Probe an address", report, form=form, words=words, register=register)


class AddressForm(forms.Form):
    """An address, as somebody has it from the robot's papers."""

    url = forms.CharField(
        label="Address", max_length=200, widget=UnfoldAdminTextInputWidget(), help_text="http://host:port"
    )
    profile = forms.ChoiceField(
        required=False,
        choices=lambda: [
            ("", "Find out"),
            *((name, profile.load_or_unusable(name).about.title) for name in profile.available()),
        ],
        widget=UnfoldAdminSelectWidget(),
    )
    credentials = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "autocomplete": "off"}),
        help_text="One a line, as name=value, with the profile's names. Used for this probe only; neither kept nor shown.",
    )
    settings = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="What the profile asks of each robot: one a line, as name=value.",
    )

    def clean_credentials(self) -> dict[str, str]:
        return _pairs(self.cleaned_data["credentials"])

    def clean_settings(self) -> dict[str, str]:
        return _pairs(self.cleaned_data["settings"])

    def forget_secrets(self) -> None:
        """The page that comes back holds no credential, and no address with a password in it."""
        if self.is_bound:
            kept = {name: str(self.data.get(name, "")) for name in ("url", "profile", "settings")}
            self.data = kept | ({"url": network.shown(kept["url"])} if "@" in kept["url"] else {})


def _pairs(text: str) -> dict[str, str]:
    """name=value, one a line. Raises ValidationError, which does not repeat the line: it may be a secret."""
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, equals, value = line.partition("=")
        if line.strip() and not (name.strip() and equals):
            raise forms.ValidationError(f"Line {number}: give it as name=value.")
        if line.strip():
            found[name.strip()] = value.strip()
    return found


def _page(
    model_admin: "ModelAdmin[Robot]", request: HttpRequest, title: str, report: Report | None, **more: Any
) -> HttpResponse:
    context = {**model_admin.admin_site.each_context(request), "opts": Robot._meta, "title": title, "report": report}
    if report is not None:
        context["steps"] = [{"step": step, "mark": MARKS[step.ok]} for step in report.steps]
        context["readings"] = [{"one": one, "words": value_words(one)} for one in report.readings]
        context["fits"] = [{"fit": fit, "percent": round(fit.score * 100)} for fit in report.fits]
    return TemplateResponse(request, TEMPLATE, context | more)
