"""What robotctl measures, of hosts and of robots, and what it knows about its own processes."""

from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone


def in_ms(moment: datetime) -> int:
    """Milliseconds since 1970: as samples keep their time, so that both databases can count with it."""
    return round(moment.timestamp() * 1_000)


class Heartbeat(models.Model):
    """The last sign of life of scheduled work: beat sent it, a worker did it."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.at:%H:%M:%S}"

    @classmethod
    def beat(cls, name: str) -> None:
        cls.objects.update_or_create(name=name, defaults={"at": timezone.now()})

    @classmethod
    def age_of(cls, name: str, now: datetime) -> timedelta | None:
        row = cls.objects.filter(name=name).first()
        return None if row is None else now - row.at


class Series(models.Model):
    """One metric of one source: `host:<name>` or `robot:<slug>`."""

    source = models.CharField(max_length=80)
    metric = models.CharField(max_length=60)
    unit = models.CharField(max_length=20, blank=True)

    class Meta:
        verbose_name_plural = "series"
        constraints = [models.UniqueConstraint(fields=["source", "metric"], name="series_of_source")]

    def __str__(self) -> str:
        return f"{self.source} {self.metric}"


class Sample(models.Model):
    """One value as it was measured. Ids come in the order in which samples are seen by others: see rollups."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="samples")
    at_ms = models.BigIntegerField(help_text="When it was observed: milliseconds since 1970.")
    value = models.FloatField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["series", "at_ms"], name="sample_at")]

    def __str__(self) -> str:
        return f"{self.value} at {self.at_ms}"


class Rollup(models.Model):
    """What the samples of one stretch of time were: a minute, a quarter of an hour, or an hour."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="rollups")
    resolution_s = models.IntegerField()
    at_ms = models.BigIntegerField(help_text="When the stretch begins.")
    minimum = models.FloatField()
    maximum = models.FloatField()
    total = models.FloatField(help_text="Sum of the values: the mean is this by count.")
    count = models.BigIntegerField()
    last = models.FloatField()
    last_ms = models.BigIntegerField(help_text="When the last of them was observed.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["series", "resolution_s", "at_ms"], name="rollup_at")]
        indexes = [models.Index(fields=["resolution_s", "at_ms"], name="rollup_age")]

    def __str__(self) -> str:
        return f"{self.resolution_s} s at {self.at_ms}"


class Thresholds(models.Model):
    """One row: from which share of a host's processor, memory and disk on it is a warning, and critical (%)."""

    cpu_warning = models.FloatField(default=80)
    cpu_critical = models.FloatField(default=90)
    memory_warning = models.FloatField(default=80)
    memory_critical = models.FloatField(default=90)
    disk_warning = models.FloatField(default=85)
    disk_critical = models.FloatField(default=95)

    class Meta:
        verbose_name_plural = "thresholds"

    def __str__(self) -> str:
        return "thresholds"

    @classmethod
    def now(cls) -> "Thresholds":
        return cls.objects.get_or_create(pk=1)[0]


class RolledUp(models.Model):
    """One row: up to which sample all is rolled up."""

    last_id = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.last_id)
