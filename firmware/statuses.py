"""The words for what becomes of stops and commands."""

from django.db import models


class StopStatus(models.TextChoices):
    CONFIRMED = "confirmed"
    SENT = "sent"
    NOT_CONFIRMED = "not_confirmed"


class CommandStatus(models.TextChoices):
    AWAITING_APPROVAL = "awaiting_approval"
    ACCEPTED = "accepted"
    SENDING = "sending"
    ACKNOWLEDGED = "acknowledged"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    OUTCOME_UNKNOWN = "outcome_unknown"
