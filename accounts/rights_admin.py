"""What every page of the admin is made of: it asks accounts.permissions, and says what is refused."""

import json
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from accounts import permissions, refusals
from accounts.models import User
from robotctl.problems import Problem

M = TypeVar("M", bound=Model)


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
            say_refused(request, problem, "Not saved.")
            return HttpResponseRedirect(request.path)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().delete_view(request, *args, **kwargs)
        except Problem as problem:
            say_refused(request, problem, "Not deleted.")
            return HttpResponseRedirect(request.path)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changelist_view(request, *args, **kwargs)
        except Problem as problem:
            say_refused(request, problem)
            return HttpResponseRedirect(request.path)


class ReadOnlyAdmin(RightsAdmin):
    """Looked at, never changed, here."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission


def as_changed(obj: M, now: M, form: Any) -> M:
    """`now`, read under a lock, with what was changed on the form: what somebody else has changed meanwhile stays."""
    for field in obj._meta.concrete_fields:
        if field.name in form.changed_data:
            setattr(now, field.attname, getattr(obj, field.attname))
    return now


def say_refused(request: HttpRequest, problem: Problem, before: str = "") -> None:
    """On the page and, where rights were missing, in the journal. `before`: what did not happen, or to whom."""
    messages.error(request, f"{before} {problem.detail}".strip())
    refusals.note(request, problem)


def shown_json(field: str) -> Any:
    """A readonly field that shows the JSON of `field`. The theme's own colours it with inline styles."""

    @admin.display(description=field)
    def shown(_: Any, obj: Model) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(getattr(obj, field), indent=2, ensure_ascii=False))

    return shown


def person(request: HttpRequest) -> User:
    """Who is asking."""
    assert isinstance(request.user, User)  # the admin asks for sign-in
    return request.user
