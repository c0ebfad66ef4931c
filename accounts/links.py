"""Links with which a person sets a password: for somebody new, or who forgot it. Single-use, expiring, kept nowhere.

The token is Django's: signed over the person's password and last sign-in, so that setting a password spends it.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.contrib.auth.views import INTERNAL_RESET_SESSION_TOKEN, PasswordResetConfirmView
from django.db import transaction
from django.db.models import F
from django.forms import Form
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from accounts import context, journal, passwords
from accounts.models import User
from robotctl.problems import Problem


class Generator(PasswordResetTokenGenerator):
    """Signs over what makes older links void, too: a newer link, a sign-out everywhere, a deactivation, another role."""

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        return f"{super()._make_hash_value(user, timestamp)}{user.links_void}{user.is_active}{user.role_id}"


generator = Generator()


def issue(person: User, base_url: str) -> dict[str, Any]:
    """`{"url","expires_at","kind"}`. The journal tells that there is one, and not which. Raises Problem 409 `not_active`."""
    if not person.is_active:
        raise Problem(409, "not_active", "This person is deactivated.")
    User.objects.filter(pk=person.pk).update(links_void=F("links_void") + 1)
    person.refresh_from_db(fields=["links_void"])
    parts = {
        "uidb64": urlsafe_base64_encode(force_bytes(person.pk)),
        "token": generator.make_token(person),
    }
    kind = "reset" if person.has_usable_password() else "invite"
    expires_at = journal.iso(timezone.now() + timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT))
    journal.record("auth.link_issued", person=person, data={"kind": kind, "expires_at": expires_at})
    return {"url": base_url.rstrip("/") + reverse("account-link", kwargs=parts), "expires_at": expires_at, "kind": kind}


class LinkPage(PasswordResetConfirmView):
    """Takes the token out of the address into the session, then asks for the new password."""

    template_name = "account_link.html"
    token_generator = generator
    reset_url_token = "set-password"  # noqa: S105 - what stands in the address instead

    def get_user(self, uidb64: str) -> User | None:
        person = super().get_user(uidb64)
        return person if isinstance(person, User) and person.is_active else None

    def form_valid(self, form: Form) -> HttpResponse:
        """Of two that send it at once, one sets the password: the token is looked at again with the row held."""
        assert self.user is not None
        token = self.request.session.pop(INTERNAL_RESET_SESSION_TOKEN, "")
        with transaction.atomic():
            person = User.objects.select_for_update().get(pk=self.user.pk)
            if not generator.check_token(person, token):
                self.validlink = False
                return self.render_to_response(self.get_context_data(form=None))
            context.set_actor(person.pk, person.username)
            passwords.change(person, form.cleaned_data["new_password1"])
        if self.request.user == person:
            self.request.session.flush()  # it has ended with the others; it must not be saved again with the answer
        return HttpResponseRedirect(f"{reverse('sign-in')}?set=1")
