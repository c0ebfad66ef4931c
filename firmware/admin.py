"""Robots, commands and link transitions in the admin. Only the probe sends anything to a robot, and that only looks."""

from typing import Any

import msgspec
from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts import giving, journal, permissions
from accounts.rights_admin import ReadOnlyAdmin, RightsAdmin, as_changed, person, shown_json
from firmware import belonging, profile, recorder
from firmware.models import Command, Robot, RobotGroup, Site, StopStatus, Transition
from firmware.probing import pages


class RobotForm(forms.ModelForm[Robot]):
    """Credentials are typed in and never shown; leave them empty to keep what is there."""

    profile = forms.ChoiceField(choices=lambda: [(name, profile.title(name)) for name in profile.available()])
    credentials = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "autocomplete": "off"}),
        help_text='For example {"admin": "…", "operator": "…"}. Never shown again; empty keeps the present ones.',
    )

    class Meta:
        model = Robot
        fields = [
            "slug",
            "name",
            "profile",
            "base_url",
            "credentials",
            "settings",
            "poll_interval_s",
            "enabled",
            "simulated",
            "site",
            "place",
        ]

    def clean_credentials(self) -> dict[str, str] | None:
        given = self.cleaned_data["credentials"]
        if not given:
            return None
        try:
            return msgspec.json.decode(given, type=dict[str, str])
        except msgspec.MsgspecError as error:
            raise forms.ValidationError('Give an object of texts, for example {"admin": "…"}.') from error

    def save(self, commit: bool = True) -> Robot:
        given = self.cleaned_data.get("credentials")
        if "base_url" in self.changed_data and self.instance.pk:
            self.instance.credentials = {}  # never sent to an address they were not given for
        if given:
            self.instance.credentials = given
        return super().save(commit)


@admin.register(Robot)
class RobotAdmin(RightsAdmin):
    view_action, change_action = "robot.configure", "robot.configure"
    form = RobotForm
    list_display = [
        "slug",
        "name",
        "profile",
        "base_url",
        "poll_interval_s",
        "enabled",
        "simulated",
        "site",
        "retired_at",
    ]
    list_filter = ["profile", "enabled", "simulated", "site"]
    search_fields = ["slug", "name"]

    def save_model(self, request: HttpRequest, obj: Robot, form: Any, change: bool) -> None:
        with transaction.atomic():
            site, wiring = None, ("", obj.profile)
            if change:
                now, credentials = belonging.registered(obj), obj.sealed_credentials
                site, wiring = now.site, (now.sealed_credentials, now.profile)
                obj = as_changed(obj, now, form)
                if {"credentials", "base_url"} & set(form.changed_data):
                    obj.sealed_credentials = credentials
            super().save_model(request, obj, form, change)
            recorder.rewired(obj, *wiring)
            belonging.site_changed(obj, site, person(request))
            if not change:
                permissions.rights_added()

    def get_readonly_fields(self, request: HttpRequest, obj: Robot | None = None) -> list[str]:
        return ["slug"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # robots are retired, by the action below: a slug never returns

    actions, actions_list, actions_detail = ["retire"], ["probe_address"], ["probe_robot"]
    probe_address = action(description="Probe an address", url_path="probe", permissions=["change"])(
        pages.probe_address
    )
    probe_robot = action(description="Probe", url_path="probe", permissions=["change"])(pages.probe_robot)

    @admin.action(description="Retire: take out of service for good")
    def retire(self, request: HttpRequest, robots: Any) -> None:
        for robot in robots.select_related("state"):
            if robot.state.stop_latched and robot.state.stop_status != StopStatus.CONFIRMED:
                self.message_user(request, f"{robot}: its stop is not confirmed yet; see to the robot first.", "error")
                continue
            robot.retired_at, robot.enabled = timezone.now(), False
            with transaction.atomic():
                robot.save(update_fields=["retired_at", "enabled"])
                journal.record("robot.retired", robot.slug, robot=robot.slug)


@admin.register(Site)
class SiteAdmin(RightsAdmin):
    view_action, change_action = "robot.configure", "robot.configure"
    list_display = ["name", "rail_start_m", "rail_end_m"]

    def delete_model(self, request: HttpRequest, obj: Site) -> None:
        _delete(obj, request)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Site]) -> None:
        with transaction.atomic():
            for site in queryset:
                _delete(site, request)


@admin.register(RobotGroup)
class RobotGroupAdmin(RightsAdmin):
    view_action, change_action = "users.view", "users.manage"
    list_display = ["name", "title"]
    filter_horizontal = ["robots"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[RobotGroup]:
        groups: QuerySet[RobotGroup] = super().get_queryset(request)
        return groups.filter(pk__in=giving.seen(person(request), RobotGroup).values("pk"))

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "robots":
            kwargs["queryset"] = permissions.visible(person(request), Robot.objects.all())
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        before = list(form.instance.robots.values_list("slug", flat=True))
        super().save_related(request, form, formsets, change)
        what = "changed" if change else "created"
        belonging.robots_changed(form.instance, before, person(request), what=what)

    def delete_model(self, request: HttpRequest, obj: RobotGroup) -> None:
        _delete(obj, request)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[RobotGroup]) -> None:
        with transaction.atomic():
            for group in queryset:
                _delete(group, request)


def _delete(obj: Site | RobotGroup, request: HttpRequest) -> None:
    """What rights were granted on goes, and they with it."""
    with transaction.atomic():
        giving.take_all(obj, person(request))
        robots = sorted(obj.robots.values_list("slug", flat=True))
        obj.delete()
        journal.record(f"{obj._meta.model_name}.robots_left", obj.name, data={"robots": [robots, []]})


@admin.register(Command)
class CommandAdmin(ReadOnlyAdmin):
    view_action = "robot.configure"
    exclude, readonly_fields, shown_params = ["params"], ["shown_params"], shown_json("params")
    list_display = ["id", "robot", "name", "params", "status", "code", "requested_by", "created_at", "ended_at"]
    list_filter = ["status", "name", "robot"]
    list_select_related = ["robot", "requested_by"]


@admin.register(Transition)
class TransitionAdmin(ReadOnlyAdmin):
    view_action = "robot.configure"
    list_display = ["at", "robot", "old", "new", "reason"]
    list_filter = ["robot", "new"]
