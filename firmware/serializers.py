"""What goes in and out of `robots/…`. Documents are built in `state.py`; these describe them, and check what comes in."""

from typing import Any

from django.db import transaction
from django.utils import timezone
from rest_framework import serializers

from firmware import belonging, profile, recorder
from firmware.credentials import Unreadable
from firmware.models import Robot, Site
from robotctl.strict import StrictSerializer

CHECKED_TOGETHER: dict[str, Any] = {"simulated": False, "profile": "", "settings": {}}


class RobotSerializer(StrictSerializer, serializers.ModelSerializer[Robot]):
    """A robot in the registry. `credentials` go in and never come out; changing `base_url` clears them."""

    credentials = serializers.DictField(child=serializers.CharField(max_length=500), write_only=True, required=False)
    credentials_set = serializers.SerializerMethodField()
    credentials_missing = serializers.SerializerMethodField()
    site = serializers.SlugRelatedField(slug_field="name", queryset=Site.objects.all(), required=False, allow_null=True)

    class Meta:
        model = Robot
        fields = [
            "slug",
            "name",
            "profile",
            "base_url",
            "credentials",
            "credentials_set",
            "credentials_missing",
            "settings",
            "poll_interval_s",
            "enabled",
            "simulated",
            "site",
            "place",
            "created_at",
        ]
        read_only_fields = ["created_at"]

    def get_credentials_missing(self, robot: Robot) -> list[str]:
        """Names that its profile has and that it was not given: what they sign will be refused."""
        try:
            held = robot.credentials
        except Unreadable:
            held = {}
        return [name for name in profile.load_or_unusable(robot.profile).auth.tokens if not held.get(name)]

    def get_credentials_set(self, robot: Robot) -> bool:
        return bool(robot.sealed_credentials)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance is not None and "slug" in attrs and attrs["slug"] != self.instance.slug:
            raise serializers.ValidationError({"slug": "A robot keeps its slug; register another robot."})
        held = {name: getattr(self.instance, name, default) for name, default in CHECKED_TOGETHER.items()}
        trial = Robot(**{name: attrs.get(name, value) for name, value in held.items()})
        trial.clean()
        known = profile.load_or_unusable(trial.profile).auth.tokens
        unknown = sorted(set(attrs.get("credentials", {})) - set(known))
        if unknown:
            words = f"This kind of robot has {', '.join(known) or 'none'}; there is no {', '.join(unknown)}."
            raise serializers.ValidationError({"credentials": words})
        return attrs

    @transaction.atomic
    def create(self, validated_data: dict[str, Any]) -> Robot:
        credentials = validated_data.pop("credentials", {})
        robot = Robot(**validated_data)
        robot.credentials = credentials
        robot.save()
        if credentials:
            recorder.credentials_changed(robot)
        belonging.site_changed(robot, None, self.context["request"].user)
        return robot

    @transaction.atomic
    def update(self, instance: Robot, validated_data: dict[str, Any]) -> Robot:
        instance = belonging.registered(instance)
        credentials, before = validated_data.pop("credentials", None), (instance.sealed_credentials, instance.profile)
        site = instance.site
        if validated_data.get("base_url", instance.base_url) != instance.base_url:
            instance.credentials = {}  # never sent to an address they were not given for
        for name, value in validated_data.items():
            setattr(instance, name, value)
        if credentials is not None:
            instance.credentials = credentials
        instance.save()
        recorder.rewired(instance, *before)
        belonging.site_changed(instance, site, self.context["request"].user)
        return instance


class StrictNumber(serializers.FloatField):
    """A number, not a text or a flag that could be taken for one."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class RegisterRequest(StrictSerializer):
    """A register write. `value` is in the unit that is shown; `reason` is required."""

    value = StrictNumber()
    reason = serializers.CharField(max_length=500)
    wait_s = serializers.FloatField(required=False, default=0.0, min_value=0.0, max_value=30.0)
    idempotency_key = serializers.CharField(required=False, max_length=200)


class ConfigRequest(StrictSerializer):
    """Settings to be changed: `{"group.name": value}`, and why."""

    values = serializers.DictField(allow_empty=False)
    reason = serializers.CharField(max_length=500)
    wait_s = serializers.FloatField(required=False, default=0.0, min_value=0.0, max_value=30.0)


class CommandRequest(StrictSerializer):
    """A command to be sent. `wait_s`: answer when it has ended, at the latest after so long."""

    name = serializers.CharField(max_length=40)
    params = serializers.JSONField(default=dict)
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=500)
    wait_s = serializers.FloatField(required=False, default=0.0, min_value=0.0, max_value=30.0)
    idempotency_key = serializers.CharField(required=False, max_length=200)


class ReasonOptional(StrictSerializer):
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=500)


class WaitingReason(ReasonOptional):
    wait_s = serializers.FloatField(required=False, default=0, min_value=0, max_value=30)


class ReasonRequired(StrictSerializer):
    reason = serializers.CharField(max_length=500)


class MaintenanceRequest(StrictSerializer):
    on = serializers.BooleanField()
    reason = serializers.CharField(max_length=500)


class NoteRequired(StrictSerializer):
    note = serializers.CharField(max_length=500)


class GrantRequest(StrictSerializer):
    """A role on this robot, for a user or a group."""

    user = serializers.CharField(required=False)
    group = serializers.CharField(required=False)
    role = serializers.CharField()
    reason = serializers.CharField(max_length=500)

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        fields["from"] = serializers.DateTimeField(
            required=False, allow_null=True
        )  # a keyword of Python, not of the API
        fields["until"] = serializers.DateTimeField(required=False, allow_null=True)
        return fields

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("user" in attrs) == ("group" in attrs):
            raise serializers.ValidationError({"user": "Give a user or a group."})
        if attrs.get("from") and attrs.get("until") and attrs["until"] <= attrs["from"]:
            raise serializers.ValidationError({"until": "Must be after from."})
        if attrs.get("until") and attrs["until"] <= timezone.now():
            raise serializers.ValidationError({"until": "This is over already."})
        return attrs


class CommandReply(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    robot = serializers.CharField()
    name = serializers.CharField()
    params = serializers.JSONField()
    status = serializers.CharField()
    code = serializers.CharField(allow_null=True)
    detail = serializers.CharField()
    reason = serializers.CharField()
    requested_by = serializers.CharField(allow_null=True)
    request_id = serializers.CharField()
    created_at = serializers.CharField()
    deadline_at = serializers.CharField()
    sent_at = serializers.CharField(allow_null=True)
    answered_at = serializers.CharField(allow_null=True)
    ended_at = serializers.CharField(allow_null=True)
    done_at = serializers.CharField(allow_null=True)
    attempts = serializers.IntegerField()
    approved_by = serializers.CharField(allow_null=True)
    approved_at = serializers.CharField(allow_null=True)


class HoldReply(serializers.Serializer[Any]):
    hold_until = serializers.CharField()


class StopReply(serializers.Serializer[Any]):
    robot = serializers.CharField()
    status = serializers.ChoiceField(choices=["confirmed", "sent", "not_confirmed"])
    sent_at = serializers.CharField(allow_null=True)
    confirmed_at = serializers.CharField(allow_null=True)
    elapsed_ms = serializers.FloatField()
    attempts = serializers.IntegerField()
    detail = serializers.CharField()


class StopReplies(serializers.Serializer[Any]):
    results = StopReply(many=True)


class StopTicketReply(serializers.Serializer[Any]):
    ticket = serializers.CharField()
    expires_at = serializers.DateTimeField()


class ResetReply(serializers.Serializer[Any]):
    robot = serializers.CharField()
    status = serializers.ChoiceField(
        choices=["confirmed", "rejected", "failed", "outcome_unknown", "awaiting_approval"]
    )
    code = serializers.CharField(allow_null=True)
    detail = serializers.CharField()
    elapsed_ms = serializers.FloatField()
    command = serializers.IntegerField(required=False)


class StateReply(serializers.Serializer[Any]):
    """See `state.document`; readings are `{"value","unit","observed_at","age_s","quality"}`."""

    robot = serializers.CharField()
    simulated = serializers.BooleanField()
    mode = serializers.ChoiceField(choices=["online", "degraded", "offline", "recovering", "maintenance"])
    machine_state = serializers.JSONField()
    readings = serializers.JSONField()
    stop = serializers.JSONField()
    lease = serializers.JSONField()
    commands = serializers.JSONField()


class LeaseReply(serializers.Serializer[Any]):
    """Who holds control; all null when nobody does."""

    holder = serializers.CharField(allow_null=True)
    since = serializers.CharField(allow_null=True)
    until = serializers.CharField(allow_null=True)


class LinkReply(serializers.Serializer[Any]):
    """See `state.link_shape`. `score` is 100 less the points of the deductions; latencies in ms, `error_rate` from 0 to 1."""

    robot = serializers.CharField()
    mode = serializers.ChoiceField(choices=["online", "degraded", "offline", "recovering", "maintenance"])
    score = serializers.IntegerField()
    deductions = serializers.JSONField()
    breaker = serializers.JSONField()
    latency_ms = serializers.JSONField()
    error_rate = serializers.FloatField(allow_null=True)
    consecutive_failures = serializers.IntegerField()
    last_success_at = serializers.CharField(allow_null=True)
    last_error = serializers.CharField(allow_null=True)
    clock_offset_s = serializers.FloatField(allow_null=True)


class LinkTestReply(serializers.Serializer[Any]):
    """What a test of the connection found: each step with its time in ms, in words, and how to mend it."""

    ok = serializers.BooleanField()
    url = serializers.CharField()
    steps = serializers.JSONField()
    machine_state = serializers.JSONField()
    readings = serializers.JSONField()
    advice = serializers.JSONField()


class GrantReply(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    user = serializers.CharField(allow_null=True)
    group = serializers.CharField(allow_null=True)
    role = serializers.CharField()
    on = serializers.CharField()
    starts_at = serializers.CharField()
    ends_at = serializers.CharField(allow_null=True)
    reason = serializers.CharField()
    granted_by = serializers.CharField(allow_null=True)
