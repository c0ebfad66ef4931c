"""Who a password or a session belongs to."""

from django.contrib.auth.backends import ModelBackend

from accounts.models import User


class PasswordBackend(ModelBackend):
    """Django's, which reads the role along with the person: every request asks what the role demands (see entry.py)."""

    def get_user(self, user_id: int) -> User | None:
        return User.objects.select_related("role").filter(pk=user_id, is_active=True).first()
