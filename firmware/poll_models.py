"""Who polls which robot."""

from django.db import models


class Poller(models.Model):
    """A poll process and its last sign of life."""

    name = models.CharField(max_length=80, primary_key=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class PollLease(models.Model):
    """Which poll process reads a robot, and until when it may without renewing."""

    robot = models.OneToOneField(
        "firmware.Robot", primary_key=True, on_delete=models.CASCADE, related_name="poll_lease"
    )
    owner = models.CharField(max_length=80, blank=True)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.robot_id} by {self.owner or 'nobody'}"
