"""What goes in and out of `auth/mfa/`, `auth/sessions/` and `users/{username}/…`."""

from typing import Any

from rest_framework import serializers

from robotctl.strict import StrictSerializer


class FactorStatus(serializers.Serializer[Any]):
    enabled = serializers.BooleanField()
    since = serializers.CharField(allow_null=True)
    required = serializers.BooleanField(help_text="The role asks for one.")  # type: ignore[assignment]
    recovery_codes_left = serializers.IntegerField()


class FactorSecret(serializers.Serializer[Any]):
    secret = serializers.CharField()
    uri = serializers.CharField()
    qr_svg = serializers.CharField()


class FactorCode(StrictSerializer):
    otp = serializers.CharField(max_length=16)


class FactorBegin(StrictSerializer):
    password = serializers.CharField(max_length=1024, trim_whitespace=False, help_text="The one that you have now.")


class FactorOff(FactorCode):
    password = serializers.CharField(max_length=1024, trim_whitespace=False)


class SessionRow(serializers.Serializer[Any]):
    """As `sessions.shape` gives it."""

    id = serializers.IntegerField()
    address = serializers.CharField()
    browser = serializers.CharField()
    user_agent = serializers.CharField()
    since = serializers.CharField()
    last_seen = serializers.CharField()
    current = serializers.BooleanField()


class Ended(serializers.Serializer[Any]):
    sessions = serializers.IntegerField()
    tokens = serializers.IntegerField()


class RecoveryCodes(serializers.Serializer[Any]):
    recovery_codes = serializers.ListField(child=serializers.CharField())
    ended = Ended(help_text="What else one was signed in with: without the factor.")


class Unlock(StrictSerializer):
    address = serializers.IPAddressField(required=False, help_text="Let everybody at this address try again, too.")


class Reason(StrictSerializer):
    reason = serializers.CharField(max_length=500)


class PasswordLink(serializers.Serializer[Any]):
    url = serializers.CharField()
    expires_at = serializers.CharField()
    kind = serializers.ChoiceField(choices=["invite", "reset"])
