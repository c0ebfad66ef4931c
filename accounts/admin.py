"""People and record in the admin. Every page asks accounts.permissions; the journal can only be read."""

from typing import Any

from auditlog.models import LogEntry
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.views.generic import RedirectView
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts import (
    exchange_admin,
    giving,
    lockout,
    matrix_admin,
    passwords,
    people,
    role_changes,
    roles,
    sessions,
    way_in_admin,
)
from accounts import grant_admin as grant_admin  # registers itself
from accounts import group_admin as group_admin
from accounts.models import JournalEntry, Role, User
from accounts.rights_admin import ReadOnlyAdmin, RightsAdmin, as_changed, person, say_refused, shown_json
from robotctl.problems import Problem

admin.site.unregister(TOTPDevice)  # secrets; set up on the account page, removed on the person's page
admin.site.unregister(StaticDevice)
admin.site.unregister(LogEntry)  # the journal is the record; see audit.py


def enter(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """The admin's own sign-in page knows neither lockout nor second factor: there is one sign-in for all."""
    if request.user.is_authenticated:
        if admin.site.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index"))
        raise PermissionDenied("Your role has nothing to do in the admin.")
    return redirect_to_login(request.GET.get("next", reverse("admin:index")))


admin.site.login = enter  # type: ignore[method-assign]
admin.site.password_change = RedirectView.as_view(url="/account/")  # type: ignore[method-assign,assignment]


class OthersPasswordForm(AdminPasswordChangeForm):
    """An administrator sets somebody's password: it ends what that person is signed in with, and must be changed."""

    user: User

    def save(self, commit: bool = True) -> User:
        with role_changes.changing():  # it may be the last administrator who is left without one
            self.user = people.locked(self.user)
            about: User = super().save(commit)
            passwords.laid_down(about)
        return about


@admin.register(User)
class UserAdmin(RightsAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    view_action, change_action = "users.view", "users.manage"
    form, add_form, change_password_form = UserChangeForm, UserCreationForm, OthersPasswordForm
    list_display = ["username", "role", "email", "is_active", "last_login"]
    list_filter = ["role", "is_active"]
    search_fields = ["username", "email", "first_name", "last_name"]
    readonly_fields = ["last_login", "date_joined"]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "email"]}),
        ("Rights", {"fields": ["role", "is_active", "must_change_password"]}),
        ("Dates", {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [
        (None, {"classes": ["wide"], "fields": ["username", "role", "usable_password", "password1", "password2"]})
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        return [*self.readonly_fields, *(["username"] if obj else [])]  # the record names them by it

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # people are forgotten, by the action below: their record stays

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        by = person(request)
        with role_changes.changing():
            was_active = True
            if change:
                now = people.locked(obj)
                giving.require_may_manage(by, now)
                people.require_not_forgotten(now)
                was_active = now.is_active
                obj = as_changed(obj, now, form)
            elif obj.has_usable_password():
                obj.must_change_password = True  # it is known to two
            giving.require_may_manage(by, obj)
            if obj.pk == by.pk and not obj.is_active:
                raise Problem(409, "yourself", "You cannot deactivate yourself; somebody else must.")
            super().save_model(request, obj, form, change)
            people.settle(obj, was_active=was_active)

    actions = ["unlock", "sign_out", "forget"]
    actions_detail, actions_list = ["way_in"], ["exchange"]
    way_in = action(description="Way in", url_path="way-in", permissions=["change"])(way_in_admin.page)
    exchange = action(description="As a table", url_path="table", permissions=["view"])(exchange_admin.page)

    @admin.action(description="Delete the person's data, keep the record", permissions=["change"])
    def forget(self, request: HttpRequest, users: QuerySet[User]) -> None:
        assert isinstance(request.user, User)
        for user in users:
            try:
                people.forget(user, request.user, reason="in the admin")
            except Problem as problem:
                say_refused(request, problem, f"{user}:")

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """One's own is changed on the account page, which asks for the old one."""
        if str(request.user.pk) == id:
            return HttpResponseRedirect("/account/")
        about = self.get_object(request, id)
        if about is None:
            raise Http404
        if not self._outranked(request, about):
            return HttpResponseRedirect(reverse("admin:accounts_user_changelist"))
        try:
            changed: HttpResponse = super().user_change_password(request, id, form_url)
        except Problem as problem:
            say_refused(request, problem, "Not saved.")
            return HttpResponseRedirect(request.path)
        return changed

    @admin.action(description="Unlock: end a lockout after failed sign-ins", permissions=["change"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for about in queryset:
            if self._outranked(request, about, oneself=False):
                lockout.unlock(about)
                self.message_user(request, f"{about} may try again.")

    @admin.action(description="Sign out everywhere", permissions=["change"])
    def sign_out(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for about in queryset:
            if self._outranked(request, about):
                sessions.sign_out(about)
                self.message_user(request, f"{about} is signed out.")

    def _outranked(self, request: HttpRequest, about: User, *, oneself: bool = True) -> bool:
        """Whether the manager holds all that they hold; says so if not."""
        assert isinstance(request.user, User)
        try:
            giving.require_may_manage(request.user, about)
            if not oneself:
                giving.require_another(request.user, about)
        except Problem as problem:
            say_refused(request, problem, f"{about}:")
            return False
        return True


@admin.register(Role)
class RoleAdmin(RightsAdmin):
    view_action, change_action = "users.view", "roles.manage"
    list_display = ["name", "title", "parent", "mfa_required"]
    fields = ["name", "title", "parent", "mfa_required"]  # its rights are ticked in the matrix
    actions_list = ["matrix"]
    matrix = action(description="Matrix", url_path="matrix", permissions=["view"])(matrix_admin.grid)

    def get_readonly_fields(self, request: HttpRequest, obj: Role | None = None) -> list[str]:
        return ["name"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        built_in = isinstance(obj, Role) and obj.pk in roles.DEFAULTS
        return not built_in and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Role, form: Any, change: bool) -> None:
        with role_changes.changing():
            role_changes.save(as_changed(obj, Role.objects.get(pk=obj.pk), form) if change else obj)

    def response_add(self, request: HttpRequest, obj: Role, post_url_continue: str | None = None) -> HttpResponse:
        """A new role may do what its parent may; what more is ticked next."""
        super().response_add(request, obj, post_url_continue)
        return HttpResponseRedirect(reverse("admin:accounts_role_matrix"))

    def delete_model(self, request: HttpRequest, obj: Role) -> None:
        role_changes.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for role in queryset:
            role_changes.delete(role)


class UncountedPaginator(Paginator[Any]):
    """The newest rows and no more: whoever looks for others searches the journal, which walks along indexes."""

    @cached_property
    def count(self) -> int:
        return len(self.object_list[:100])


@admin.register(JournalEntry)
class JournalAdmin(ReadOnlyAdmin):
    """The newest rows, and any row by its number. To filter millions of them is what `/api/v1/journal/` is for."""

    view_action = "journal.view"
    exclude, readonly_fields, shown_data = ["data"], ["shown_data"], shown_json("data")
    list_display = ["id", "at", "verb", "target", "robot", "outcome", "actor_id", "reason"]
    list_per_page = list_max_show_all = 100
    paginator = UncountedPaginator
    show_full_result_count = False
    sortable_by = ()
    ordering = ["-id"]
