"""Commands that follow one another."""

from django.db import models
from django.utils import timezone

from firmware.request_models import Requested


class Sequence(Requested):
    """Commands for one robot, each sent when the one before it is done. Its commands name it, and their step."""

    class Status(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    robot = models.ForeignKey("firmware.Robot", on_delete=models.PROTECT, related_name="sequences")
    steps = models.JSONField(help_text='[{"name","params"}], checked when it was accepted.')
    step = models.IntegerField(default=0, help_text="The step under way, from 0.")
    step_within_s = models.FloatField(default=600.0, help_text="A step that is not done by then ends it.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING)
    step_began_at = models.DateTimeField(default=timezone.now)
    rests_since = models.DateTimeField(
        null=True, help_text="Since when the robot stands still, and not where it was told."
    )
    watched_until = models.DateTimeField(help_text="When nobody has looked after it by then, it ends.")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["robot", "-id"])]
        constraints = [
            models.UniqueConstraint(fields=["robot"], condition=models.Q(ended_at=None), name="one_sequence_at_a_time"),
            models.UniqueConstraint(fields=["robot", "requested_by", "idempotency_key"], name="one_sequence_per_key"),
        ]

    def __str__(self) -> str:
        return f"sequence #{self.pk}"
