"""People and record in the admin. Every page asks accounts.permissions; the journal can only be read."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts import permissions
from accounts.models import Grant, JournalEntry, Role, User


class RightsAdmin(ModelAdmin):
    """An admin page that asks our rights instead of Django's flags. None: nobody may."""

    view_action: str | None = None
    change_action: str | None = None

    def _may(self, request: HttpRequest, action: str | None) -> bool:
        return action is not None and permissions.may(request.user, action)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may(request, self.view_action)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, self.view_action) or self._may(request, self.change_action)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, self.change_action)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, self.change_action)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, self.change_action)


class ReadOnlyAdmin(RightsAdmin):
    """Looked at, never changed, here."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission


admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(RightsAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    view_action, change_action = "users.view", "users.manage"
    form, add_form, change_password_form = UserChangeForm, UserCreationForm, AdminPasswordChangeForm
    list_display = ["username", "role", "email", "is_active", "last_login"]
    list_filter = ["role", "is_active"]
    search_fields = ["username", "email", "first_name", "last_name"]
    readonly_fields = ["last_login", "date_joined"]
    filter_horizontal = ["groups"]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "email"]}),
        ("Rights", {"fields": ["role", "groups", "is_active"]}),
        ("Dates", {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [
        (None, {"classes": ["wide"], "fields": ["username", "role", "usable_password", "password1", "password2"]})
    ]

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        permissions.rights_changed(obj)


@admin.register(Role)
class RoleAdmin(RightsAdmin):
    view_action, change_action = "users.view", "roles.manage"
    list_display = ["name", "title", "parent"]

    def save_model(self, request: HttpRequest, obj: Role, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        permissions.project_role(obj)


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin):
    view_action = "users.view"
    list_display = ["role", "user", "group", "object_id", "starts_at", "ends_at", "reason", "granted_by"]


@admin.register(JournalEntry)
class JournalAdmin(ReadOnlyAdmin):
    view_action = "journal.view"
    list_display = ["id", "at", "verb", "target", "robot", "outcome", "actor_id", "reason"]
    list_filter = ["outcome", "verb", "robot"]
    search_fields = ["request_id", "target"]
    show_full_result_count = False
