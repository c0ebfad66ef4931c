"""Groups of people in the admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminSelect2MultipleWidget

from accounts import groups
from accounts.models import User
from accounts.rights_admin import RightsAdmin, person

admin.site.unregister(Group)


class GroupForm(forms.ModelForm):  # type: ignore[type-arg]
    members = forms.ModelMultipleChoiceField(
        User.objects.filter(is_active=True).order_by("username"),
        required=False,
        widget=UnfoldAdminSelect2MultipleWidget(),
    )

    class Meta:
        model = Group
        fields = ["name"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["members"].initial = groups.members(self.instance).keys()
            held: Any = self.fields["members"]
            held.queryset = (held.queryset | User.objects.filter(groups=self.instance)).distinct().order_by("username")


@admin.register(Group)
class GroupAdmin(RightsAdmin):
    """Who belongs together and holds grants together; the grants are under *Grants*."""

    view_action, change_action = "users.manage", "users.manage"
    form = GroupForm
    fields = ["name", "members"]
    search_fields = ["name"]
    list_display = ["name", "size"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        every: QuerySet[Group] = super().get_queryset(request)
        return every.annotate(size=Count("user"))

    @admin.display(description="members", ordering="size")
    def size(self, group: Any) -> int:
        return int(group.size)

    def save_model(self, request: HttpRequest, obj: Group, form: Any, change: bool) -> None:
        with transaction.atomic():
            held = groups.members(obj) if change else {}
            super().save_model(request, obj, form, change)
            obj.user_set.set(form.cleaned_data["members"])
            groups.settle(obj, held, person(request), what="changed" if change else "created")

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        groups.delete(obj, person(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Group]) -> None:
        with transaction.atomic():
            for group in queryset:
                groups.delete(group, person(request))
