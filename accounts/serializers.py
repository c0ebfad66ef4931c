"""What goes in and out of `auth/` and `journal/`."""

from typing import Any

from rest_framework import serializers

from accounts import giving, permissions, roles
from accounts.models import User
from robotctl.strict import StrictSerializer


class LoginSerializer(StrictSerializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=1024, trim_whitespace=False)
    otp = serializers.CharField(required=False, allow_blank=True, max_length=16)


class PasswordSerializer(StrictSerializer):
    old_password = serializers.CharField(max_length=1024, trim_whitespace=False)
    new_password = serializers.CharField(max_length=1024, trim_whitespace=False)


class UserSerializer(serializers.ModelSerializer[User]):
    """Who one is, and what the role allows everywhere (grants on single robots come on top)."""

    role = serializers.CharField(source="role_id")
    rights = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ["id", "username", "email", "role", "rights"]

    def get_rights(self, user: User) -> list[str]:
        return sorted(permissions.rights(user))


class TokenReply(serializers.Serializer[Any]):
    token = serializers.CharField()
    expires_at = serializers.DateTimeField()
    user = UserSerializer()


class TokenRequest(StrictSerializer):
    name = serializers.CharField(max_length=80)
    expires_in_s = serializers.IntegerField(required=False, min_value=60, max_value=366 * 86400, default=36000)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=["stop"]), required=False, default=list)
    actions = serializers.ListField(
        child=serializers.ChoiceField(choices=roles.ACTIONS), required=False, allow_null=True, default=None
    )
    robots = serializers.ListField(
        child=serializers.SlugField(max_length=40), required=False, allow_null=True, default=None, max_length=1000
    )

    def validate_robots(self, slugs: list[str] | None) -> list[str] | None:
        """A slug that is misspelt would make a token that can do nothing, and be noticed in front of the robot."""
        if slugs == []:
            raise serializers.ValidationError("Name at least one robot, or leave this out: all that you may.")
        if unseen := giving.unseen(self.context["user"], slugs or []):
            raise serializers.ValidationError(f"No such robot: {', '.join(unseen[:5])}.")
        return None if slugs is None else sorted(set(slugs))


class TokenRow(serializers.Serializer[Any]):
    """A token as it is listed: enough to recognise and revoke it, never the token."""

    id = serializers.CharField(source="token_key")
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField(source="created")
    expires_at = serializers.DateTimeField(source="expiry")
    actions = serializers.ListField(child=serializers.CharField(), allow_null=True)
    robots = serializers.ListField(child=serializers.CharField(), allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)


class NewToken(serializers.Serializer[Any]):
    id = serializers.CharField()
    token = serializers.CharField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    actions = serializers.ListField(child=serializers.CharField(), allow_null=True)
    robots = serializers.ListField(child=serializers.CharField(), allow_null=True)
    expires_at = serializers.DateTimeField()


class TicketReply(serializers.Serializer[Any]):
    ticket = serializers.CharField()
    expires_at = serializers.DateTimeField()


class JournalRow(serializers.Serializer[Any]):
    """One row of the journal as `journal.as_dicts` gives it."""

    id = serializers.IntegerField()
    at = serializers.CharField()
    late = serializers.BooleanField(help_text="It was recorded after the fact: the database was away.")
    actor = serializers.CharField()
    verb = serializers.CharField()
    target = serializers.CharField()
    robot = serializers.CharField(allow_null=True)
    outcome = serializers.ChoiceField(choices=["ok", "denied", "failed", "unknown"])
    reason = serializers.CharField()
    request_id = serializers.CharField()
    address = serializers.CharField()
    user_agent = serializers.CharField()
    data = serializers.JSONField()  # type: ignore[assignment]
