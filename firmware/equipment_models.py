"""The parts of a robot as it last told them, and what somebody wants its settings to be."""

from django.db import models


class Equipment(models.Model):
    """A part of a robot as it last told it: its modules, one module's registers, a scan, a group of settings."""

    robot = models.ForeignKey("firmware.Robot", on_delete=models.CASCADE, related_name="equipment")
    part = models.CharField(max_length=120)
    document = models.JSONField(default=dict)
    observed_at = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True)
    error_code = models.CharField(max_length=40, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["robot", "part"], name="one_row_per_part")]

    def __str__(self) -> str:
        return f"{self.part} of {self.robot_id}"


class DesiredSetting(models.Model):
    """What somebody wants a setting to be; where the robot reports another value, it has drifted."""

    robot = models.ForeignKey("firmware.Robot", on_delete=models.CASCADE, related_name="desired_settings")
    group = models.CharField(max_length=60)
    name = models.CharField(max_length=60)
    value = models.JSONField()
    by = models.CharField(max_length=150)
    at = models.DateTimeField()
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["robot", "group", "name"], name="one_desire_per_setting")]

    def __str__(self) -> str:
        return f"{self.group}.{self.name} = {self.value!r}"
