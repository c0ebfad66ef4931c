"""People and record in the admin. Every page asks accounts.permissions; the journal can only be read."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.http import HttpRequest, HttpResponseRedirect
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts import matrix_admin, people, permissions, role_changes, roles
from accounts.models import Grant, JournalEntry, Role, User
from robotctl.problems import Problem


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

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """What our rules refuse is said on the page, and nothing of it is saved."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except Problem as problem:
            self.message_user(request, f"Not saved. {problem.detail}", messages.ERROR)
            return HttpResponseRedirect(request.path)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changelist_view(request, *args, **kwargs)
        except Problem as problem:
            self.message_user(request, str(problem.detail), messages.ERROR)
            return HttpResponseRedirect(request.path)


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

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # people are forgotten, by the action below: their record stays

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        assert isinstance(request.user, User)
        before = User.objects.filter(pk=obj.pk).first()
        with role_changes.changing():
            if before is not None:
                people.require_may_manage(request.user, before)
            people.require_may_manage(request.user, obj)
            if before is not None and obj.pk == request.user.pk and not obj.is_active:
                raise Problem(409, "yourself", "You cannot deactivate yourself; somebody else must.")
            super().save_model(request, obj, form, change)
            permissions.rights_changed(obj)

    actions = ["forget"]

    @admin.action(description="Delete the person's data, keep the record")
    def forget(self, request: HttpRequest, users: Any) -> None:
        assert isinstance(request.user, User)
        for user in users:
            try:
                people.forget(user, request.user, reason="in the admin")
            except Problem as problem:
                self.message_user(request, f"{user}: {problem.detail}", messages.ERROR)


@admin.register(Role)
class RoleAdmin(RightsAdmin):
    view_action, change_action = "users.view", "roles.manage"
    list_display = ["name", "title", "parent", "mfa_required"]
    actions_list = ["matrix"]
    matrix = action(description="Matrix", url_path="matrix", permissions=["view"])(matrix_admin.grid)

    def get_readonly_fields(self, request: HttpRequest, obj: Role | None = None) -> list[str]:
        return ["name"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        built_in = isinstance(obj, Role) and obj.pk in roles.DEFAULTS
        return not built_in and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Role, form: Any, change: bool) -> None:
        role_changes.save(obj)

    def delete_model(self, request: HttpRequest, obj: Role) -> None:
        role_changes.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for role in queryset:
            role_changes.delete(role)


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
