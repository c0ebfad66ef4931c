"""Grants in the admin: who has which role on which object, given and withdrawn with the checks of the API."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelect2Widget

from accounts import giving, refusals
from accounts.models import Grant, User
from accounts.rights_admin import RightsAdmin, person
from robotctl.problems import Problem

LABELS = {
    "user": ("Person", "A person, or below a group of people: one of the two."),
    "group": ("Group of people", ""),
    "starts_at": ("From", "UTC."),
    "ends_at": ("Until", "UTC. Empty: until it is withdrawn."),
    "reason": ("Reason", "For example: shift, contractor until the belt is changed."),
}


def targets(by: User) -> list[tuple[str, list[tuple[str, str]]]]:
    """What `by` sees of what rights can be granted on, by kind: [(kind, [("content type:key", name)])]."""
    found = [("", [("", "Select value")])]
    for model in giving.grantable():
        kind = ContentType.objects.get_for_model(model)
        named = [(f"{kind.pk}:{row.pk}", str(row)) for row in giving.seen(by, model)]
        found.append((str(model._meta.verbose_name_plural).capitalize(), named))
    return found


class GrantForm(forms.ModelForm[Grant]):
    """What is refused is said at its field. `by` is who asks; each request has a form class of its own."""

    by: User
    request: HttpRequest
    where = forms.ChoiceField(
        label="On",
        widget=UnfoldAdminSelect2Widget,
        help_text="One robot, or all of a group or a site.",
    )

    class Meta:
        model = Grant
        fields = ["user", "group", "role", "starts_at", "ends_at", "reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "where" in self.fields:
            self.fields["where"].choices = targets(self.by)  # type: ignore[attr-defined]
        self.odd = False
        if not is_number(self.data.get("user") or "0"):  # the widget would look for it while it is drawn
            self.data, self.odd = {**self.data.dict(), "user": ""}, True  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if self.odd:
            self.add_error("user", "Choose somebody from the list.")
        kind, _, key = given.get("where", "").partition(":")
        if kind:
            self.instance.content_type, self.instance.object_id = ContentType.objects.get_for_id(int(kind)), key
        if "role" in given:
            try:
                giving.require_may_grant(self.by, given["role"])
            except Problem as problem:
                refusals.note(self.request, problem)
                self.add_error("role", str(problem.detail))
        return given


def is_number(text: str) -> bool:
    """Whether it can be the number of a row."""
    return text.isascii() and text.isdecimal() and len(text) < 19


class StateFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("active", "Active"), ("future", "Begins later"), ("ended", "Ended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Grant]) -> QuerySet[Grant]:
        now = timezone.now()
        wanted = {
            "active": Q(starts_at__lte=now) & (Q(ends_at__isnull=True) | Q(ends_at__gt=now)),
            "future": Q(starts_at__gt=now),
            "ended": Q(ends_at__lte=now),
        }
        return queryset.filter(wanted.get(self.value() or "", Q()))


class HolderFilter(admin.SimpleListFilter):
    title, parameter_name = "holder", "holder"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        people = User.objects.filter(grants__isnull=False).distinct().order_by("username")
        groups = Group.objects.filter(grants__isnull=False).distinct().order_by("name")
        return [(f"user:{one.pk}", one.username) for one in people] + [
            (f"group:{one.pk}", f"Group {one.name}") for one in groups
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Grant]) -> QuerySet[Grant]:
        kind, _, key = (self.value() or "").partition(":")
        return queryset.filter(**{kind: key}) if kind in ("user", "group") and is_number(key) else queryset


def _state(model_admin: Any, given: Grant) -> str:
    now = timezone.now()
    if given.ends_at is not None and given.ends_at <= now:
        return "ended"
    return "begins later" if given.starts_at > now else "active"


@admin.register(Grant)
class GrantAdmin(RightsAdmin):
    """A grant is given or withdrawn, never changed: the record tells of each."""

    view_action, change_action = "users.view", "users.manage"
    form = GrantForm
    autocomplete_fields = ["user"]
    list_display = ["holder", "role", "on", "state", "starts_at", "ends_at", "reason", "granted_by"]
    list_select_related = ["user", "group", "role", "granted_by", "content_type"]
    list_filter = [StateFilter, HolderFilter, "role"]
    search_fields = ["user__username", "group__name", "reason"]
    list_per_page = 50

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Grant]:
        grants: QuerySet[Grant] = super().get_queryset(request)
        for model in giving.grantable():
            hidden = giving.rows(model).exclude(pk__in=giving.seen(person(request), model).values("pk"))
            keys = [str(pk) for pk in hidden.values_list("pk", flat=True)]
            grants = grants.exclude(content_type=ContentType.objects.get_for_model(model), object_id__in=keys)
        return grants.prefetch_related("target")

    def get_fields(self, request: HttpRequest, obj: Grant | None = None) -> list[str]:
        if obj is None:
            return ["user", "group", "where", "role", "starts_at", "ends_at", "reason"]
        return ["holder", "on", "role", "state", "starts_at", "ends_at", "reason", "granted_by"]

    def get_readonly_fields(self, request: HttpRequest, obj: Grant | None = None) -> list[str]:
        return [] if obj is None else ["holder", "on", "state"]

    def get_form(self, request: HttpRequest, obj: Grant | None = None, change: bool = False, **kwargs: Any) -> Any:
        made: Any = super().get_form(request, obj, change, **kwargs)
        made.by, made.request = person(request), request
        return made

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field: Any = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name in LABELS:
            field.label, field.help_text = LABELS[db_field.name]
        return field

    def save_model(self, request: HttpRequest, obj: Grant, form: Any, change: bool) -> None:
        holder = obj.user or obj.group
        assert holder is not None and obj.target is not None  # the form has seen to it
        about = {"reason": obj.reason, "starts_at": obj.starts_at, "ends_at": obj.ends_at}
        obj.pk = giving.give(obj.target, role=obj.role, holder=holder, by=person(request), **about).pk

    def delete_model(self, request: HttpRequest, obj: Grant) -> None:
        giving.take(obj, person(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Grant]) -> None:
        with transaction.atomic():
            for given in queryset:
                giving.take(given, person(request))

    @admin.display(description="Holder")
    def holder(self, given: Grant) -> str:
        return given.user.username if given.user else f"Group {given.group}"

    @admin.display(description="On")
    def on(self, given: Grant) -> str:
        return f"{given.content_type.name} {given.target or given.object_id}"

    state = display(description="State", label={"active": "success", "begins later": "info", "ended": "warning"})(
        _state
    )
